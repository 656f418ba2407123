import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import redis.clients.jedis.AbstractPipeline;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.RedisClient;
import redis.clients.jedis.RedisClusterClient;
import redis.clients.jedis.RedisProtocol;
import redis.clients.jedis.Response;
import redis.clients.jedis.UnifiedJedis;
import redis.clients.jedis.exceptions.JedisDataException;
import redis.clients.jedis.params.ScanParams;
import redis.clients.jedis.resps.ScanResult;

/** Jedis with its defaults: the arguments are the port and plain, resp2 or cluster. */
public class JedisClient {
  static final int COUNT = 300;

  static void same(Object got, Object wanted) {
    if (!Objects.equals(got, wanted)) throw new AssertionError(got + " instead of " + wanted);
  }

  static UnifiedJedis connect(int port, String mode) {
    HostAndPort address = new HostAndPort("127.0.0.1", port);
    if (mode.equals("cluster")) return RedisClusterClient.builder().nodes(Set.of(address)).build();
    if (mode.equals("plain")) return RedisClient.builder().hostAndPort(address).build();
    var config = DefaultJedisClientConfig.builder().protocol(RedisProtocol.RESP2).build();
    return RedisClient.builder().hostAndPort(address).clientConfig(config).build();
  }

  public static void main(String[] args) {
    String mode = args[1];
    try (UnifiedJedis client = connect(Integer.parseInt(args[0]), mode)) {
      same(client.set("jedis:greeting", "hello"), "OK");
      same(client.get("jedis:greeting"), "hello");
      same(client.get("jedis:nothing"), null);
      client.hset("jedis:hash", Map.of("a", "1", "b", "2"));
      same(client.hgetAll("jedis:hash"), Map.of("a", "1", "b", "2"));
      same(client.eval("return {KEYS[1], ARGV[1]}", 1, "jedis:s", "x"), List.of("jedis:s", "x"));
      try {
        client.lpush("jedis:greeting", "x");
        throw new AssertionError("LPUSH on a string went well");
      } catch (JedisDataException error) {
        same(error.getMessage().startsWith("WRONGTYPE"), true);
      }
      manyKeys(client, mode);
    }
    System.out.println("ok " + mode + " Jedis");
  }

  static void manyKeys(UnifiedJedis client, String mode) {
    List<String> keys = new ArrayList<>();
    for (int i = 0; i < COUNT; i++) keys.add("jedis:" + mode + ":" + i);
    Map<String, Response<String>> answers = new HashMap<>();
    try (AbstractPipeline pipeline = client.pipelined()) {
      for (String key : keys) pipeline.set(key, "v-" + key);
      for (String key : keys) answers.put(key, pipeline.get(key));
      pipeline.sync();
    }
    for (String key : keys) same(answers.get(key).get(), "v-" + key);
    if (mode.equals("cluster")) {
      // Its keys must share a slot, as Jedis itself insists.
      same(client.mset("{t}1", "a", "{t}2", "b"), "OK");
      same(client.mget("{t}1", "{t}2"), List.of("a", "b"));
      return;
    }
    List<String> values = keys.stream().map(key -> "v-" + key).toList();
    same(client.mget(keys.toArray(String[]::new)), values);
    Set<String> found = new HashSet<>();
    String cursor = "0";
    do {
      var params = new ScanParams().match("jedis:" + mode + ":*").count(50);
      ScanResult<String> page = client.scan(cursor, params);
      found.addAll(page.getResult());
      cursor = page.getCursor();
    } while (!cursor.equals("0"));
    same(found, new HashSet<>(keys));
    same(client.del(keys.toArray(String[]::new)), (long) COUNT);
  }
}

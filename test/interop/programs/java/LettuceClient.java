import io.lettuce.core.ClientOptions;
import io.lettuce.core.KeyScanCursor;
import io.lettuce.core.KeyValue;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisCommandExecutionException;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.ScanArgs;
import io.lettuce.core.ScanCursor;
import io.lettuce.core.ScriptOutputType;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.api.async.RedisClusterAsyncCommands;
import io.lettuce.core.cluster.api.sync.RedisClusterCommands;
import io.lettuce.core.protocol.ProtocolVersion;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** Lettuce with its defaults: the arguments are the port and plain, resp2 or cluster. */
public class LettuceClient {
  static final int COUNT = 300;

  static void same(Object got, Object wanted) {
    if (!Objects.equals(got, wanted)) throw new AssertionError(got + " instead of " + wanted);
  }

  public static void main(String[] args) throws Exception {
    String address = "redis://127.0.0.1:" + args[0];
    String mode = args[1];
    if (mode.equals("cluster")) {
      try (RedisClusterClient client = RedisClusterClient.create(address);
          var connection = client.connect()) {
        exercise(connection.sync(), connection.async(), mode);
      }
    } else {
      try (RedisClient client = RedisClient.create(address)) {
        if (mode.equals("resp2")) {
          client.setOptions(ClientOptions.builder().protocolVersion(ProtocolVersion.RESP2).build());
        }
        try (var connection = client.connect()) {
          exercise(connection.sync(), connection.async(), mode);
          RedisCommands<String, String> commands = connection.sync();
          same(commands.ping(), "PONG");
        }
      }
    }
    System.out.println("ok " + mode + " Lettuce");
    System.exit(0);
  }

  static void exercise(
      RedisClusterCommands<String, String> client,
      RedisClusterAsyncCommands<String, String> later,
      String mode)
      throws Exception {
    same(client.set("lettuce:greeting", "hello"), "OK");
    same(client.get("lettuce:greeting"), "hello");
    same(client.get("lettuce:nothing"), null);
    client.hset("lettuce:hash", Map.of("a", "1", "b", "2"));
    same(client.hgetall("lettuce:hash"), Map.of("a", "1", "b", "2"));
    String[] scriptKeys = {"lettuce:s"};
    List<String> told =
        client.eval("return {KEYS[1], ARGV[1]}", ScriptOutputType.MULTI, scriptKeys, "x");
    same(told, List.of("lettuce:s", "x"));
    try {
      client.lpush("lettuce:greeting", "x");
      throw new AssertionError("LPUSH on a string went well");
    } catch (RedisCommandExecutionException error) {
      same(error.getMessage().startsWith("WRONGTYPE"), true);
    }

    List<String> keys = new ArrayList<>();
    Map<String, String> values = new HashMap<>();
    for (int i = 0; i < COUNT; i++) keys.add("lettuce:" + mode + ":" + i);
    for (String key : keys) values.put(key, "v-" + key);
    same(client.mset(values), "OK");
    List<RedisFuture<String>> answers = new ArrayList<>();
    for (String key : keys) answers.add(later.get(key));
    for (int i = 0; i < COUNT; i++) {
      same(answers.get(i).get(10, TimeUnit.SECONDS), "v-" + keys.get(i));
    }
    String[] all = keys.toArray(String[]::new);
    for (KeyValue<String, String> pair : client.mget(all)) {
      same(pair.getValue(), "v-" + pair.getKey());
    }
    Set<String> found = new HashSet<>();
    ScanArgs matching = ScanArgs.Builder.matches("lettuce:" + mode + ":*").limit(50);
    KeyScanCursor<String> page = client.scan(ScanCursor.INITIAL, matching);
    found.addAll(page.getKeys());
    while (!page.isFinished()) {
      page = client.scan(page, matching);
      found.addAll(page.getKeys());
    }
    same(found, new HashSet<>(keys));
    same(client.del(all), (long) COUNT);
  }
}

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import redis.clients.jedis.AbstractPipeline;
import redis.clients.jedis.AbstractTransaction;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.JedisCluster;
import redis.clients.jedis.JedisPooled;
import redis.clients.jedis.JedisPubSub;
import redis.clients.jedis.JedisSentinelPool;
import redis.clients.jedis.JedisSentineled;
import redis.clients.jedis.Protocol;
import redis.clients.jedis.RedisProtocol;
import redis.clients.jedis.Response;
import redis.clients.jedis.UnifiedJedis;
import redis.clients.jedis.params.ScanParams;
import redis.clients.jedis.resps.ScanResult;

/** Jedis with its defaults: the arguments are the port and plain, resp3, cluster or sentinel. */
public class JedisClient extends Program {
  final HostAndPort address;
  final String mode;
  final boolean isCluster;
  final List<String> messages = new CopyOnWriteArrayList<>();
  final JedisPubSub subscriber = new Listener();
  JedisSentinelPool pool;
  UnifiedJedis client;

  class Listener extends JedisPubSub {
    @Override
    public void onMessage(String channel, String message) {
      messages.add("plain " + channel + " " + message);
    }

    @Override
    public void onPMessage(String pattern, String channel, String message) {
      messages.add("pattern " + channel + " " + message);
    }
  }

  JedisClient(int port, String mode) {
    super("jedis:" + mode);
    this.address = new HostAndPort("127.0.0.1", port);
    this.mode = mode;
    this.isCluster = mode.equals("cluster");
  }

  UnifiedJedis connect() {
    if (isCluster) return new JedisCluster(address);
    if (mode.equals("sentinel")) {
      var config = DefaultJedisClientConfig.builder().build();
      if (pool == null) pool = new JedisSentinelPool("mymaster", Set.of(address.toString()));
      return new JedisSentineled("mymaster", config, Set.of(address), config);
    }
    if (mode.equals("plain")) return new JedisPooled(address.getHost(), address.getPort());
    var config = DefaultJedisClientConfig.builder().protocol(RedisProtocol.RESP3).build();
    return new JedisPooled(address, config);
  }

  @Override
  void values() throws Exception {
    same(client.set(prefix + ":s", "hello"), "OK");
    same(client.get(prefix + ":s"), "hello");
    same(client.get(prefix + ":nothing"), null);
    client.set(allBytes(), allBytes());
    same(java.util.Arrays.equals(client.get(allBytes()), allBytes()), true);
    client.hset(prefix + ":h", Map.of("a", "1", "b", "2"));
    same(client.hgetAll(prefix + ":h"), Map.of("a", "1", "b", "2"));
    refused("WRONGTYPE", () -> client.lpush(prefix + ":s", "x"));
    if (isCluster) {
      // Its keys must share a slot, as Jedis itself insists.
      same(client.mset("{t}1", "a", "{t}2", "b"), "OK");
      same(client.mget("{t}1", "{t}2"), List.of("a", "b"));
      return;
    }
    String[] keys = names(300, "many").toArray(String[]::new);
    for (String key : keys) client.set(key, "v-" + key);
    same(client.mget(keys), names(300, "many").stream().map(key -> "v-" + key).toList());
    same(client.del(keys), 300L);
  }

  @Override
  void pipeline() {
    List<String> keys = names(500, "p");
    List<Response<String>> answers = new ArrayList<>();
    try (AbstractPipeline calls = client.pipelined()) {
      for (int i = 0; i < 5000; i++) {
        calls.set(keys.get(i % 500), "v" + i);
        answers.add(calls.get(keys.get(i % 500)));
      }
      calls.sync();
    }
    for (int i = 0; i < 5000; i++) same(answers.get(i).get(), "v" + i);
  }

  AbstractTransaction block(boolean begun) {
    try {
      return client.transaction(begun);
    } catch (UnsupportedOperationException error) {
      throw new NotApplicable("JedisCluster has no transactions");
    }
  }

  @Override
  void multi() {
    String count = "{" + prefix + "}:count";
    String list = "{" + prefix + "}:list";
    client.set(count, "41");
    try (AbstractTransaction block = block(true)) {
      block.incr(count);
      block.rpush(list, "a", "b");
      block.lrange(list, 0, -1);
      same(block.exec(), List.of(42L, 2L, List.of("a", "b")));
    }
    try (AbstractTransaction block = block(true)) {
      block.set(count, "x");
      block.incr(count);
      block.get(count);
      List<Object> answers = block.exec();
      same(answers.get(0), "OK");
      same(answers.get(1) instanceof Exception, true);
      same(answers.get(2), "x");
    }
  }

  @Override
  void watch() {
    String key = prefix + ":watched";
    UnifiedJedis other = connect();
    try (AbstractTransaction block = block(false)) {
      block.watch(key);
      other.set(key, "from another");
      block.multi();
      block.set(key, "mine");
      same(block.exec(), null);
    }
    try (AbstractTransaction block = block(false)) {
      block.watch(key);
      block.multi();
      block.set(key, "mine");
      same(block.exec(), List.of("OK"));
    }
    same(client.get(key), "mine");
  }

  @Override
  void scripts() throws Exception {
    String sha = client.scriptLoad("return {KEYS[1], ARGV[1]}", prefix + ":any");
    for (String key : names(12, "sha")) {
      same(client.evalsha(sha, List.of(key), List.of("x")), List.of(key, "x"));
    }
    String unknown = "0".repeat(40);
    refused("NOSCRIPT", () -> client.evalsha(unknown, List.of(prefix + ":s"), List.of()));
  }

  @Override
  void pubsub() throws Exception {
    String news = prefix + ":news";
    UnifiedJedis own = connect();
    later(() -> { own.subscribe(subscriber, news); return true; });
    until("the subscription", () -> subscriber.isSubscribed());
    subscriber.psubscribe(prefix + ":n?ws");
    until("both", () -> subscriber.getSubscribedChannels() == 2);
    for (int i = 0; i < 100; i++) client.publish(news, String.valueOf(i));
    until("200 messages", () -> messages.size() == 200);
    for (String kind : List.of("plain ", "pattern ")) {
      List<String> wanted = new ArrayList<>();
      for (int i = 0; i < 100; i++) wanted.add(kind + news + " " + i);
      same(messages.stream().filter(message -> message.startsWith(kind)).toList(), wanted);
    }
    subscriber.punsubscribe(prefix + ":n?ws");
  }

  @Override
  void blocking() throws Exception {
    List<String> keys = names(3, "queue");
    String[] waited = isCluster ? new String[] {keys.get(2)} : keys.toArray(String[]::new);
    UnifiedJedis own = connect();
    var popped = later(() -> own.blpop(10.0, waited));
    client.rpush(keys.get(2), "late");
    same(soon(popped).getKey() + " " + soon(popped).getValue(), keys.get(2) + " late");
    same(own.blpop(0.05, waited), null);
    var scored = later(() -> own.bzpopmin(10.0, prefix + ":z"));
    client.zadd(prefix + ":z", 1, "one");
    same(soon(scored).getValue().getElement(), "one");
  }

  @Override
  void scan() {
    List<String> keys = names(300, "scan");
    for (String key : keys) client.set(key, "x");
    Set<String> found = new HashSet<>();
    if (isCluster) {
      client.scanIteration(200, prefix + ":scan:*").collect(found);
    } else {
      ScanParams matching = new ScanParams().match(prefix + ":scan:*").count(200);
      String cursor = "0";
      do {
        ScanResult<String> page = client.scan(cursor, matching);
        found.addAll(page.getResult());
        cursor = page.getCursor();
      } while (!cursor.equals("0"));
    }
    same(found, new HashSet<>(keys));
  }

  @Override
  void resp3() {
    if (!mode.equals("resp3")) throw new NotApplicable("RESP2 unless asked for more");
    String facts = flat(client.sendCommand(Protocol.Command.HELLO));
    same(facts.contains("proto 3") ? "" : facts, "");
  }

  static String flat(Object value) {
    if (value instanceof byte[] bytes) return new String(bytes) + " ";
    if (value instanceof Map.Entry<?, ?> pair) return flat(pair.getKey()) + flat(pair.getValue());
    StringBuilder text = new StringBuilder();
    if (!(value instanceof Iterable<?> parts)) return value + " ";
    for (Object part : parts) text.append(flat(part));
    return text.toString();
  }

  @Override
  void failover() throws Exception {
    UnifiedJedis own = connect();
    var popped = later(() -> patiently(() -> own.blpop(0.0, prefix + ":patient")));
    setThroughFailover(new Own());
    try (UnifiedJedis other = connect()) {
      other.rpush(prefix + ":patient", "at last");
      same(soon(popped).getValue(), "at last");
      until(
          "a message after the failover",
          () -> {
            other.publish(prefix + ":news", "after");
            Thread.sleep(50);
            return messages.contains("plain " + prefix + ":news after");
          });
    }
  }

  /** JedisSentinelPool lends whole connections, one for each call, as applications do. */
  class Own implements Store {
    @Override
    public void set(String key, String value) {
      if (pool == null) {
        client.set(key, value);
        return;
      }
      try (Jedis jedis = pool.getResource()) {
        jedis.set(key, value);
      }
    }

    @Override
    public String get(String key) {
      if (pool == null) return client.get(key);
      try (Jedis jedis = pool.getResource()) {
        return jedis.get(key);
      }
    }
  }

  /** It waits 2 s for an answer, and a vote takes longer. */
  @Override
  boolean isAllowed(String words) {
    return super.isAllowed(words) || words.contains("SocketTimeoutException: Read timed out");
  }

  public static void main(String[] args) {
    JedisClient own = new JedisClient(Integer.parseInt(args[0]), args[1]);
    own.report(args[2]);
  }

  @Override
  void open() {
    client = connect();
    same(client.exists(prefix + ":nothing"), false);
  }
}

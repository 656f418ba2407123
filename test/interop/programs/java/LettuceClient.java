import io.lettuce.core.ClientOptions;
import io.lettuce.core.KeyScanCursor;
import io.lettuce.core.KeyValue;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.ScanArgs;
import io.lettuce.core.ScanCursor;
import io.lettuce.core.ScriptOutputType;
import io.lettuce.core.TransactionResult;
import io.lettuce.core.api.StatefulConnection;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.api.async.RedisClusterAsyncCommands;
import io.lettuce.core.cluster.api.sync.RedisClusterCommands;
import io.lettuce.core.codec.ByteArrayCodec;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.NestedMultiOutput;
import io.lettuce.core.protocol.CommandType;
import io.lettuce.core.protocol.ProtocolVersion;
import io.lettuce.core.pubsub.RedisPubSubAdapter;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;

/** Lettuce with its defaults: the arguments are the port and plain, resp2 or cluster. */
public class LettuceClient extends Program {
  final String url;
  final String mode;
  final List<String> messages = new CopyOnWriteArrayList<>();
  RedisClient plain;
  RedisClusterClient cluster;
  RedisClusterCommands<String, String> client;
  RedisClusterAsyncCommands<String, String> pipelined;
  StatefulRedisPubSubConnection<String, String> subscriber;

  LettuceClient(String url, String mode) {
    super("lettuce:" + mode);
    this.url = url;
    this.mode = mode;
  }

  @Override
  void open() {
    if (mode.equals("cluster")) {
      cluster = RedisClusterClient.create(url);
      var connection = cluster.connect();
      client = connection.sync();
      pipelined = connection.async();
    } else {
      plain = RedisClient.create(url);
      if (mode.equals("resp2")) {
        plain.setOptions(ClientOptions.builder().protocolVersion(ProtocolVersion.RESP2).build());
      }
      var connection = plain.connect();
      client = connection.sync();
      pipelined = connection.async();
    }
    same(client.ping(), "PONG");
  }

  /** A connection of its own, as blocking commands and transactions need: to the one node. */
  RedisCommands<String, String> single() {
    if (plain != null) return plain.connect().sync();
    var connection = cluster.connect();
    return connection.getConnection(connection.getPartitions().getPartition(0).getNodeId()).sync();
  }

  @Override
  void values() throws Exception {
    same(client.set(prefix + ":s", "hello"), "OK");
    same(client.get(prefix + ":s"), "hello");
    same(client.get(prefix + ":nothing"), null);
    var binary =
        plain != null
            ? plain.connect(ByteArrayCodec.INSTANCE).sync()
            : cluster.connect(ByteArrayCodec.INSTANCE).sync();
    binary.set(allBytes(), allBytes());
    same(java.util.Arrays.equals(binary.get(allBytes()), allBytes()), true);
    client.hset(prefix + ":h", Map.of("a", "1", "b", "2"));
    same(client.hgetall(prefix + ":h"), Map.of("a", "1", "b", "2"));
    refused("WRONGTYPE", () -> client.lpush(prefix + ":s", "x"));
    Map<String, String> values = new HashMap<>();
    for (String key : names(300, "many")) values.put(key, "v-" + key);
    same(client.mset(values), "OK");
    String[] keys = names(300, "many").toArray(String[]::new);
    for (KeyValue<String, String> pair : client.mget(keys)) {
      same(pair.getValue(), "v-" + pair.getKey());
    }
    same(client.del(keys), 300L);
  }

  @Override
  void pipeline() throws Exception {
    List<String> keys = names(500, "p");
    List<RedisFuture<String>> answers = new ArrayList<>();
    for (int i = 0; i < 5000; i++) {
      pipelined.set(keys.get(i % 500), "v" + i);
      answers.add(pipelined.get(keys.get(i % 500)));
    }
    for (int i = 0; i < 5000; i++) same(answers.get(i).get(20, TimeUnit.SECONDS), "v" + i);
  }

  @Override
  void multi() {
    String count = "{" + prefix + "}:count";
    String list = "{" + prefix + "}:list";
    RedisCommands<String, String> own = single();
    own.set(count, "41");
    own.multi();
    own.incr(count);
    own.rpush(list, "a", "b");
    own.lrange(list, 0, -1);
    same(own.exec().stream().toList(), List.of(42L, 2L, List.of("a", "b")));
    own.multi();
    own.set(count, "x");
    own.incr(count);
    own.get(count);
    TransactionResult answers = own.exec();
    same(answers.get(0), "OK");
    same(answers.get(1) instanceof Exception, true);
    same(answers.get(2), "x");
  }

  @Override
  void watch() {
    String key = prefix + ":watched";
    RedisCommands<String, String> own = single();
    own.watch(key);
    client.set(key, "from another");
    own.multi();
    own.set(key, "mine");
    same(own.exec().wasDiscarded(), true);
    own.watch(key);
    own.multi();
    own.set(key, "mine");
    same(own.exec().wasDiscarded(), false);
    same(client.get(key), "mine");
  }

  @Override
  void scripts() throws Exception {
    String sha = client.scriptLoad("return {KEYS[1], ARGV[1]}");
    for (String key : names(12, "sha")) {
      String[] keys = {key};
      List<String> told = client.evalsha(sha, ScriptOutputType.MULTI, keys, "x");
      same(told, List.of(key, "x"));
    }
    String[] any = {prefix + ":s"};
    String unknown = "0".repeat(40);
    refused("NOSCRIPT", () -> client.evalsha(unknown, ScriptOutputType.VALUE, any));
  }

  @Override
  void pubsub() throws Exception {
    String news = prefix + ":news";
    subscriber = plain != null ? plain.connectPubSub() : cluster.connectPubSub();
    subscriber.addListener(new Listener());
    subscriber.async().subscribe(news).get(10, TimeUnit.SECONDS);
    subscriber.async().psubscribe(prefix + ":n?ws").get(10, TimeUnit.SECONDS);
    for (int i = 0; i < 100; i++) client.publish(news, String.valueOf(i));
    until("200 messages", () -> messages.size() == 200);
    for (String kind : List.of("plain ", "pattern ")) {
      List<String> wanted = new ArrayList<>();
      for (int i = 0; i < 100; i++) wanted.add(kind + news + " " + i);
      same(messages.stream().filter(message -> message.startsWith(kind)).toList(), wanted);
    }
    subscriber.async().punsubscribe(prefix + ":n?ws").get(10, TimeUnit.SECONDS);
  }

  class Listener extends RedisPubSubAdapter<String, String> {
    @Override
    public void message(String channel, String message) {
      messages.add("plain " + channel + " " + message);
    }

    @Override
    public void message(String pattern, String channel, String message) {
      messages.add("pattern " + channel + " " + message);
    }
  }

  @Override
  void blocking() throws Exception {
    List<String> keys = names(3, "queue");
    String[] waited = keys.toArray(String[]::new);
    RedisCommands<String, String> own = single();
    var popped = later(() -> own.blpop(10.0, waited));
    client.rpush(keys.get(2), "late");
    same(soon(popped), KeyValue.just(keys.get(2), "late"));
    same(own.blpop(0.05, waited), null);
    var scored = later(() -> own.bzpopmin(10.0, prefix + ":z"));
    client.zadd(prefix + ":z", 1, "one");
    same(soon(scored).getValue().getValue(), "one");
  }

  @Override
  void scan() {
    List<String> keys = names(300, "scan");
    for (String key : keys) client.set(key, "x");
    Set<String> found = new HashSet<>();
    ScanArgs matching = ScanArgs.Builder.matches(prefix + ":scan:*").limit(200);
    KeyScanCursor<String> page = client.scan(ScanCursor.INITIAL, matching);
    found.addAll(page.getKeys());
    while (!page.isFinished()) {
      page = client.scan(page, matching);
      found.addAll(page.getKeys());
    }
    same(found, new HashSet<>(keys));
  }

  @Override
  void resp3() {
    if (mode.equals("resp2")) throw new NotApplicable("RESP2 in this mode");
    var output = new NestedMultiOutput<>(StringCodec.UTF8);
    same(single().dispatch(CommandType.HELLO, output).toString().contains("proto, 3"), true);
  }

  @Override
  void failover() throws Exception {
    RedisCommands<String, String> own = single();
    var popped = later(() -> patiently(() -> own.blpop(0.0, prefix + ":patient")));
    setThroughFailover(new Own());
    client.rpush(prefix + ":patient", "at last");
    same(soon(popped).getValue(), "at last");
    until(
        "a message after the failover",
        () -> {
          client.publish(prefix + ":news", "after");
          Thread.sleep(50);
          return messages.contains("plain " + prefix + ":news after");
        });
  }

  class Own implements Store {
    @Override
    public void set(String key, String value) {
      client.set(key, value);
    }

    @Override
    public String get(String key) {
      return client.get(key);
    }
  }

  public static void main(String[] args) {
    LettuceClient own = new LettuceClient("redis://127.0.0.1:" + args[0], args[1]);
    own.report(args[2]);
  }
}

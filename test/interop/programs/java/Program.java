import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** What the Java programs share: they say in lines what they did; see client-run.ts. */
abstract class Program {
  /** A feature that the client itself does not have. */
  static class NotApplicable extends RuntimeException {
    NotApplicable(String why) {
      super(why);
    }
  }

  interface Step {
    void run() throws Exception;
  }

  interface Store {
    void set(String key, String value) throws Exception;

    String get(String key) throws Exception;
  }

  private static final BufferedReader INPUT =
      new BufferedReader(new InputStreamReader(System.in));

  final String prefix;

  Program(String prefix) {
    this.prefix = prefix;
  }

  static void same(Object got, Object wanted) {
    if (!Objects.equals(got, wanted)) throw new AssertionError(got + " instead of " + wanted);
  }

  static void refused(String word, Step step) throws Exception {
    try {
      step.run();
    } catch (Exception error) {
      same(words(error).contains(word) ? word : words(error), word);
      return;
    }
    throw new AssertionError("no error instead of " + word);
  }

  static String words(Throwable error) {
    String words = error.toString();
    Throwable cause = error.getCause();
    return (cause == null ? words : words + " < " + words(cause)).replaceAll("\\s+", " ");
  }

  static <T> CompletableFuture<T> later(Callable<T> call) {
    CompletableFuture<T> result = new CompletableFuture<>();
    Thread thread =
        new Thread(
            () -> {
              try {
                result.complete(call.call());
              } catch (Throwable error) {
                result.completeExceptionally(error);
              }
            });
    thread.setDaemon(true);
    thread.start();
    return result;
  }

  /** The node that died may have answered a blocking pop: then the client asks again. */
  static <T> T patiently(Callable<T> pop) throws Exception {
    for (;;) {
      try {
        return pop.call();
      } catch (Exception error) {
        if (!words(error).contains("UNCERTAIN")) throw error;
      }
    }
  }

  static <T> T soon(CompletableFuture<T> result) throws Exception {
    return result.get(20, TimeUnit.SECONDS);
  }

  static void until(String what, Callable<Boolean> question) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(15);
    while (!question.call()) {
      if (System.nanoTime() > deadline) throw new AssertionError("never came: " + what);
      Thread.sleep(10);
    }
  }

  static byte[] allBytes() {
    byte[] bytes = new byte[256];
    for (int i = 0; i < 256; i++) bytes[i] = (byte) i;
    return bytes;
  }

  List<String> names(int count, String topic) {
    List<String> keys = new ArrayList<>();
    for (int i = 0; i < count; i++) keys.add(prefix + ":" + topic + ":" + i);
    return keys;
  }

  /** Writes until a primary was killed and some rounds after it went well. */
  void setThroughFailover(Store store) throws Exception {
    CompletableFuture<String> killed = later(INPUT::readLine);
    System.out.println("kill");
    List<String> keys = names(24, "failover");
    Set<String> others = new HashSet<>();
    int round = 0;
    for (int good = 0; good < 3; ) {
      round++;
      boolean clean = true;
      for (String key : keys) {
        try {
          store.set(key, String.valueOf(round));
        } catch (Exception error) {
          clean = false;
          if (!isAllowed(words(error))) others.add(words(error));
        }
      }
      good = clean && killed.isDone() ? good + 1 : 0;
      Thread.sleep(50);
    }
    same(others, Set.of());
    for (String key : keys) same(store.get(key), String.valueOf(round));
  }

  boolean isAllowed(String words) {
    return words.contains("UNCERTAIN");
  }

  abstract void open() throws Exception;

  abstract void values() throws Exception;

  abstract void pipeline() throws Exception;

  abstract void multi() throws Exception;

  abstract void watch() throws Exception;

  abstract void scripts() throws Exception;

  abstract void pubsub() throws Exception;

  abstract void blocking() throws Exception;

  abstract void scan() throws Exception;

  abstract void resp3() throws Exception;

  abstract void failover() throws Exception;

  /** Does all of it, and ends the process, whatever threads the client has left. */
  void report(String version) {
    Map<String, Step> features = new LinkedHashMap<>();
    features.put("values", this::values);
    features.put("pipeline", this::pipeline);
    features.put("multi", this::multi);
    features.put("watch", this::watch);
    features.put("eval", this::scripts);
    features.put("pubsub", this::pubsub);
    features.put("blocking", this::blocking);
    features.put("scan", this::scan);
    features.put("resp3", this::resp3);
    features.put("failover", this::failover);
    System.out.println("version " + version);
    boolean connected = say("connect", this::open);
    if (connected) {
      features.forEach(Program::say);
      System.out.println("end");
    }
    System.exit(connected ? 0 : 1);
  }

  private static boolean say(String name, Step step) {
    String result = "ok";
    try {
      if (name.equals("failover")) {
        System.out.println("ready");
        INPUT.readLine();
      }
      step.run();
    } catch (NotApplicable reason) {
      result = "n.a.: " + reason.getMessage();
    } catch (Throwable error) {
      String words = words(error);
      result = "failed: " + words.substring(0, Math.min(300, words.length()));
    }
    System.out.println(name + " " + result);
    return result.equals("ok");
  }
}

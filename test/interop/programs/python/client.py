"""redis-py with its defaults: argv is the port and `plain`, `resp2`, `cluster` or `sentinel`.

Says in lines what it did; see client-run.ts.
"""
import asyncio
import sys
import threading
import time
import traceback

import redis
import redis.asyncio
from redis.cluster import RedisCluster
from redis.sentinel import Sentinel

port, mode = int(sys.argv[1]), sys.argv[2]
PREFIX = f"py:{mode}"
HOST = "127.0.0.1"


class NotApplicable(Exception):
    pass


def connect():
    if mode == "cluster":
        return RedisCluster(host=HOST, port=port)
    if mode == "sentinel":
        return Sentinel([(HOST, port)]).master_for("mymaster")
    if mode == "resp2":
        return redis.Redis(host=HOST, port=port, protocol=2)
    return redis.Redis(host=HOST, port=port)


def same(got, wanted):
    assert got == wanted, f"{got!r} instead of {wanted!r}"


def refused(word, call):
    try:
        answer = call()
    except redis.ResponseError as error:
        # Some words have a class of their own, which leaves the word out.
        assert word in f"{type(error).__name__} {error}", error
        return
    raise AssertionError(f"{answer!r} instead of {word}")


def until(what, question, seconds=15):
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.01)


def names(count, topic):
    return [f"{PREFIX}:{topic}:{i}" for i in range(count)]


class Background(threading.Thread):
    """One call that waits, on a client of its own."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self.call, self.answer = call, None
        self.start()

    def run(self):
        try:
            self.answer = self.call(connect())
        except Exception as error:
            self.answer = error

    def result(self):
        self.join(20)
        assert not self.is_alive(), "no end of a waiting call"
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def values():
    same(client.set(f"{PREFIX}:s", "hello"), True)
    same(client.get(f"{PREFIX}:s"), b"hello")
    same(client.get(f"{PREFIX}:nothing"), None)
    client.set(bytes(range(256)), bytes(range(256)))
    same(client.get(bytes(range(256))), bytes(range(256)))
    client.hset(f"{PREFIX}:h", mapping={"a": 1, "b": 2})
    same(client.hgetall(f"{PREFIX}:h"), {b"a": b"1", b"b": b"2"})
    refused("wrong kind of value", lambda: client.lpush(f"{PREFIX}:s", "x"))
    keys = names(300, "many")
    given = {key: f"v-{key}" for key in keys}
    wanted = [given[key].encode() for key in keys]
    if mode == "cluster":
        same(client.mset_nonatomic(given) is not None, True)
        same(client.mget_nonatomic(keys), wanted)
    else:
        same(client.mset(given), True)
        same(client.mget(keys), wanted)
    same(client.exists(*keys), 300)
    asyncio.run(asynchronous(keys[:80], wanted[:80]))
    same(client.delete(*keys), 300)


async def asynchronous(keys, wanted):
    """Its pool has 100 connections, and each of these calls takes one."""
    if mode == "cluster":
        other = redis.asyncio.RedisCluster(host=HOST, port=port)
    else:
        other = redis.asyncio.Redis(host=HOST, port=port)
    same(await asyncio.gather(*(other.get(key) for key in keys)), wanted)
    await other.aclose()


def pipeline():
    keys = names(500, "p")
    calls = client.pipeline(transaction=False)
    wanted = []
    for i in range(5000):
        calls.set(keys[i % 500], f"v{i}")
        calls.get(keys[i % 500])
        wanted += [True, f"v{i}".encode()]
    same(calls.execute(), wanted)


def multi():
    count, items = f"{{{PREFIX}}}:count", f"{{{PREFIX}}}:list"
    client.set(count, 41)
    block = client.pipeline(transaction=True)
    block.incr(count)
    block.rpush(items, "a", "b")
    block.lrange(items, 0, -1)
    same(block.execute(), [42, 2, [b"a", b"b"]])
    block = client.pipeline(transaction=True)
    block.set(count, "x")
    block.incr(count)
    block.get(count)
    answers = block.execute(raise_on_error=False)
    same([isinstance(answer, redis.ResponseError) for answer in answers], [False, True, False])


def watch():
    key = f"{PREFIX}:watched"
    with client.pipeline(transaction=True) as block:
        block.watch(key)
        client.set(key, "from another")
        block.multi()
        block.set(key, "mine")
        try:
            raise AssertionError(f"{block.execute()!r} instead of WatchError")
        except redis.WatchError:
            pass
    with client.pipeline(transaction=True) as block:
        block.watch(key)
        same(block.get(key), b"from another")
        block.multi()
        block.set(key, "mine")
        # Its cluster client does not translate the answer.
        same([answer in (True, b"OK") for answer in block.execute()], [True])
    same(client.get(key), b"mine")


def scripts():
    add = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    for key in names(12, "script"):
        same(add(keys=[key], args=[3]), 3)
    sha = client.script_load("return {KEYS[1], ARGV[1]}")
    for key in names(12, "sha"):
        same(client.evalsha(sha, 1, key, "x"), [key.encode(), b"x"])
    refused("NoScript", lambda: client.evalsha("0" * 40, 1, f"{PREFIX}:s"))


def next_messages(subscriber, count):
    messages = []

    def enough():
        message = subscriber.get_message(ignore_subscribe_messages=True, timeout=0.05)
        if message is not None:
            messages.append((message["type"], message["channel"], message["data"]))
        return len(messages) >= count

    until(f"{count} messages", enough)
    return messages


def pubsub():
    news = f"{PREFIX}:news".encode()
    subscriber.subscribe(news)
    subscriber.psubscribe(f"{PREFIX}:n?ws")
    until("the confirmations", lambda: subscriber.get_message(timeout=0.05) is not None)
    until("the second one", lambda: subscriber.get_message(timeout=0.05) is not None)
    for i in range(100):
        client.publish(news, i)
    messages = next_messages(subscriber, 200)
    for kind in ("message", "pmessage"):
        got = [(channel, data) for its, channel, data in messages if its == kind]
        same(got, [(news, str(i).encode()) for i in range(100)])
    subscriber.punsubscribe(f"{PREFIX}:n?ws")


def blocking():
    keys = names(3, "queue")
    # Its cluster client wants the keys of one command in one slot.
    waited = keys[2:] if mode == "cluster" else keys
    waiting = Background(lambda own: own.blpop(waited, 10))
    client.rpush(keys[2], "late")
    popped = waiting.result()
    same(tuple(popped), (keys[2].encode(), b"late"))
    same(client.blpop(waited, 0.05), None)
    waiting = Background(lambda own: own.bzpopmin(f"{PREFIX}:z", 10))
    client.zadd(f"{PREFIX}:z", {"one": 1})
    same(list(waiting.result()), [f"{PREFIX}:z".encode(), b"one", 1.0])


def scan():
    keys = names(300, "scan")
    for key in keys:
        client.set(key, "x")
    found = list(client.scan_iter(match=f"{PREFIX}:scan:*", count=200))
    same(sorted(set(found)), sorted(key.encode() for key in keys))


def resp3():
    if mode == "resp2":
        raise NotApplicable("RESP2 in this mode")
    node = client
    if mode == "cluster":
        node = client.get_redis_connection(client.get_random_node())
    answer = node.execute_command("HELLO")
    facts = answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2]))
    proto = facts.get(b"proto", facts.get("proto"))
    if proto == 2 and int(redis.__version__.split(".")[0]) < 8:
        raise NotApplicable("not its default in this version")
    same(proto, 3)


def patient(own):
    """The node that died may have answered, and the client itself waits 5 s: it asks again."""
    while True:
        try:
            return own.blpop(f"{PREFIX}:patient", 0)
        except redis.ResponseError as error:
            if "UNCERTAIN" not in str(error):
                raise
        except redis.TimeoutError:
            pass


def failover():
    waiting = Background(patient)
    killed = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), killed.set()), daemon=True).start()
    say("kill")
    keys, others, final, good = names(24, "failover"), set(), 0, 0
    while good < 3:
        final += 1
        clean = True
        for key in keys:
            try:
                client.set(key, final)
            except redis.RedisError as error:
                clean = False
                if "UNCERTAIN" not in str(error):
                    others.add(f"{type(error).__name__}: {error}")
        good = good + 1 if clean and killed.is_set() else 0
        time.sleep(0.05)
    same(others, set())
    same([client.get(key) for key in keys], [str(final).encode()] * 24)
    client.rpush(f"{PREFIX}:patient", "at last")
    same(tuple(waiting.result()), (f"{PREFIX}:patient".encode(), b"at last"))

    def heard():
        client.publish(f"{PREFIX}:news", "after")
        message = subscriber.get_message(ignore_subscribe_messages=True, timeout=0.05)
        return message is not None and message["data"] == b"after"

    until("a message after the failover", heard)


def say(line):
    print(line, flush=True)


def outcome(exercise):
    try:
        exercise()
        return "ok"
    except NotApplicable as reason:
        return f"n.a.: {reason}"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        words = " ".join(f"{type(error).__name__}: {error} ({where.name})".split())
        return f"failed: {words[:300]}"


say(f"version {redis.__version__}")
FEATURES = {
    "values": values,
    "pipeline": pipeline,
    "multi": multi,
    "watch": watch,
    "eval": scripts,
    "pubsub": pubsub,
    "blocking": blocking,
    "scan": scan,
    "resp3": resp3,
    "failover": failover,
}
try:
    client = connect()
    subscriber = connect().pubsub()
    same(client.ping(), True)
except Exception as error:
    say(f"connect failed: {type(error).__name__}: {error}")
    sys.exit(1)
say("connect ok")
for name, feature in FEATURES.items():
    if name == "failover":
        say("ready")
        sys.stdin.readline()
    say(f"{name} {outcome(feature)}")
say("end")

"""redis-py with its defaults: argv is the port and `plain`, `resp2` or `cluster`."""
import asyncio
import sys

import redis
import redis.asyncio
from redis.cluster import RedisCluster

port, mode = int(sys.argv[1]), sys.argv[2]
COUNT = 300
KEYS = [f"py:{mode}:{i}" for i in range(COUNT)]


def connect():
    if mode == "cluster":
        return RedisCluster(host="127.0.0.1", port=port)
    if mode == "resp2":
        return redis.Redis(host="127.0.0.1", port=port, protocol=2)
    return redis.Redis(host="127.0.0.1", port=port)


def same(got, wanted):
    assert got == wanted, f"{got!r} instead of {wanted!r}"


client = connect()
same(client.ping(), True)
same(client.set("py:greeting", "hello"), True)
same(client.get("py:greeting"), b"hello")
same(client.get("py:nothing"), None)
client.set("py:binary", bytes(range(256)))
same(client.get("py:binary"), bytes(range(256)))
client.hset("py:hash", mapping={"a": 1, "b": 2})
same(client.hgetall("py:hash"), {b"a": b"1", b"b": b"2"})
same(client.eval("return {KEYS[1], ARGV[1]}", 1, "py:script", "x"), [b"py:script", b"x"])
try:
    client.lpush("py:greeting", "x")
    raise AssertionError("LPUSH on a string went well")
except redis.ResponseError as error:
    assert str(error).startswith("WRONGTYPE") or "wrong kind of value" in str(error), error

values = {key: f"v-{key}" for key in KEYS}
if mode == "cluster":
    same(client.mset_nonatomic(values) is not None, True)
    same(client.mget_nonatomic(KEYS), [values[key].encode() for key in KEYS])
else:
    same(client.mset(values), True)
    same(client.mget(KEYS), [values[key].encode() for key in KEYS])
    same(client.exists(*KEYS), COUNT)

pipeline = client.pipeline(transaction=False)
for key in KEYS:
    pipeline.get(key)
same(pipeline.execute(), [values[key].encode() for key in KEYS])
found = set(client.scan_iter(match=f"py:{mode}:*", count=50))
same(found, {key.encode() for key in KEYS})
client.close()


async def asynchronous():
    if mode == "cluster":
        client = redis.asyncio.RedisCluster(host="127.0.0.1", port=port)
    else:
        client = redis.asyncio.Redis(host="127.0.0.1", port=port)
    # Its pool has 100 connections, and each of these calls takes one.
    some = KEYS[:80]
    got = await asyncio.gather(*(client.get(key) for key in some))
    same(got, [values[key].encode() for key in some])
    await client.aclose()


asyncio.run(asynchronous())
print(f"ok {mode} redis-py {redis.__version__}")

/**
 * At least one call of every command and subcommand, in an order in which each finds the keys that
 * it wants. A line may begin with how its reply is compared with that of a plain redis-server:
 *
 *     (nothing)   the same bytes
 *     ~elements   the same elements in any order (or another way of test/support/differential)
 *     ~form       a reply of the same type
 *     ~answers    no error, whatever the plain server says: it is no cluster, or has other texts
 *     ~any        some reply, but not that the command is unknown
 *
 * `^` before the command: on a fresh connection of its own, of which the first reply is looked at.
 * Words are separated by blanks; "quoted" ones may hold some. `@DUMP:key` and `@FUNCTIONS` stand
 * for what DUMP and FUNCTION DUMP of the plain server say.
 */
export const COMMAND_CALLS = `
  SET {s}a hello
  GET {s}a
  APPEND {s}a " world"
  STRLEN {s}a
  GETRANGE {s}a 0 4
  SUBSTR {s}a 0 4
  SETRANGE {s}a 6 Redis
  GETSET {s}a new
  GETEX {s}a PERSIST
  GETDEL {s}a
  SETNX {s}a 10
  INCR {s}a
  INCRBY {s}a 5
  INCRBYFLOAT {s}a 0.5
  DECR {s}n
  DECRBY {s}n 4
  SETEX {s}e 100 v
  PSETEX {s}p 100000 v
  MSET {s}m1 1 {t}m2 2 {u}m3 3
  MSETNX {s}m4 1 {s}m5 2
  MGET {s}m1 {t}m2 {u}m3 none
  SETBIT {s}bits 7 1
  GETBIT {s}bits 7
  BITCOUNT {s}bits
  BITPOS {s}bits 1
  BITOP NOT {s}not {s}bits
  BITFIELD {s}bits INCRBY u8 0 3
  BITFIELD_RO {s}bits GET u8 0
  SET {s}l1 ohmytext
  SET {s}l2 mynewtext
  LCS {s}l1 {s}l2 IDX

  EXISTS {s}a {t}m2 none
  TYPE {s}a
  TOUCH {s}a {t}m2
  ~seconds TTL {s}e
  ~milliseconds PTTL {s}e
  EXPIRE {s}a 1000
  PEXPIRE {s}a 1000000
  EXPIREAT {s}a 4102444800
  EXPIRETIME {s}a
  PEXPIREAT {s}a 4102444800000
  PEXPIRETIME {s}a
  PERSIST {s}a
  RENAME {s}l1 {s}l3
  RENAMENX {s}l3 {s}l1
  COPY {s}l1 {s}l4
  DEL {s}l4 {t}none
  UNLINK {s}not {t}m2
  DUMP {s}l1
  RESTORE {s}restored 0 @DUMP:{s}l1
  GET {s}restored
  OBJECT ENCODING {s}l1
  OBJECT REFCOUNT {s}l1
  OBJECT IDLETIME {s}none
  OBJECT FREQ {s}l1
  ~answers OBJECT HELP
  ~any MOVE {s}none 1
  ~form MEMORY USAGE {s}l1

  RPUSH {l}a 1 2 3
  LPUSH {l}a 0
  LPUSHX {l}a -1
  RPUSHX {l}a 4
  LLEN {l}a
  LRANGE {l}a 0 -1
  LINDEX {l}a 0
  LINSERT {l}a BEFORE 2 1.5
  LPOS {l}a 2
  LREM {l}a 1 1.5
  LSET {l}a 0 x
  LTRIM {l}a 0 5
  LPOP {l}a
  RPOP {l}a
  LMOVE {l}a {l}b LEFT RIGHT
  RPOPLPUSH {l}a {l}b
  LMPOP 1 {l}a LEFT
  RPUSH {l}a 1 2 3 4 5 6 7
  RPUSH {m}a 1
  BLPOP {l}a {m}a 1
  BRPOP {l}a 1
  BLMOVE {l}a {l}b LEFT LEFT 1
  BRPOPLPUSH {l}a {l}b 1
  BLMPOP 1 1 {l}a LEFT COUNT 2
  RPUSH {l}c 3 1 2
  SORT {l}c
  SORT_RO {l}c DESC LIMIT 0 2
  SORT {l}c ALPHA STORE {l}sorted
  SORT {l}c BY nosort
  ~any SORT {l}c BY nosort GET #
  ~any SORT_RO {l}c BY w_* GET #

  SADD {e}a 1 2 3
  SADD {e}b 2 3 4
  SCARD {e}a
  SISMEMBER {e}a 1
  SMISMEMBER {e}a 1 9
  ~elements SMEMBERS {e}a
  ~elements SDIFF {e}a {e}b
  ~elements SINTER {e}a {e}b
  ~elements SUNION {e}a {e}b
  SINTERCARD 2 {e}a {e}b
  SDIFFSTORE {e}d {e}a {e}b
  SINTERSTORE {e}i {e}a {e}b
  SUNIONSTORE {e}u {e}a {e}b
  SMOVE {e}a {e}b 1
  SREM {e}b 4
  ~shape SRANDMEMBER {e}a 1
  ~scan SSCAN {e}u 0
  ~shape SPOP {e}d

  HSET {h}a f 1 g 2
  HGET {h}a f
  HMGET {h}a f none
  HMSET {h}a h 3
  ~pairs HGETALL {h}a
  ~elements HKEYS {h}a
  ~elements HVALS {h}a
  HLEN {h}a
  HEXISTS {h}a f
  HSTRLEN {h}a f
  HINCRBY {h}a f 4
  HINCRBYFLOAT {h}a f 0.5
  HSETNX {h}a f 9
  ~shape HRANDFIELD {h}a
  ~scanPairs HSCAN {h}a 0
  HDEL {h}a h

  ZADD {z}a 1 a 2 b 3 c 4 d 5 e 6 f 7 g
  ZADD {z}b 1 a 20 b
  ZADD {y}a 1 only
  ZCARD {z}a
  ZCOUNT {z}a 2 3
  ZSCORE {z}a b
  ZMSCORE {z}a b none
  ZRANK {z}a b
  ZREVRANK {z}a b
  ZINCRBY {z}a 0.5 b
  ZRANGE {z}a 0 -1 WITHSCORES
  ZRANGEBYSCORE {z}a 1 2
  ZREVRANGE {z}a 0 1
  ZREVRANGEBYSCORE {z}a 3 1
  ZRANGEBYLEX {z}a - +
  ZREVRANGEBYLEX {z}a + -
  ZLEXCOUNT {z}a - +
  ZRANGESTORE {z}r {z}a 0 1
  ZDIFF 2 {z}a {z}b
  ZINTER 2 {z}a {z}b WITHSCORES
  ZUNION 2 {z}a {z}b WEIGHTS 2 3
  ZINTERCARD 2 {z}a {z}b
  ZDIFFSTORE {z}d 2 {z}a {z}b
  ZINTERSTORE {z}i 2 {z}a {z}b
  ZUNIONSTORE {z}u 2 {z}a {z}b
  ~shape ZRANDMEMBER {z}a
  ~scanPairs ZSCAN {z}a 0
  ZREM {z}u a
  ZREMRANGEBYRANK {z}u 0 0
  ZREMRANGEBYSCORE {z}u 0 1
  ZREMRANGEBYLEX {z}u - (c
  ZPOPMIN {z}a
  ZPOPMAX {z}a
  ZMPOP 1 {z}a MIN
  BZPOPMIN {z}a {y}a 1
  BZPOPMAX {z}a 1
  BZMPOP 1 1 {z}a MAX

  GEOADD {g}a 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
  GEODIST {g}a Palermo Catania km
  GEOHASH {g}a Palermo
  GEOPOS {g}a Palermo none
  GEOSEARCH {g}a FROMMEMBER Palermo BYRADIUS 200 km ASC
  GEOSEARCHSTORE {g}b {g}a FROMMEMBER Palermo BYRADIUS 200 km
  GEORADIUS {g}a 15 37 200 km ASC
  GEORADIUS {g}a 15 37 200 km STORE {g}c
  GEORADIUS_RO {g}a 15 37 200 km ASC
  GEORADIUSBYMEMBER {g}a Palermo 200 km ASC
  GEORADIUSBYMEMBER {g}a Palermo 200 km STOREDIST {g}d
  GEORADIUSBYMEMBER_RO {g}a Palermo 200 km ASC

  PFADD {f}a x y z
  PFCOUNT {f}a
  PFMERGE {f}b {f}a

  XADD {x}a 1-1 f v
  XADD {x}a 2-1 f v
  XADD {x}a 3-1 f v
  XLEN {x}a
  XRANGE {x}a - +
  XREVRANGE {x}a + - COUNT 1
  XREAD COUNT 1 STREAMS {x}a 0
  XREAD BLOCK 10 STREAMS {x}a 1-1
  XGROUP CREATE {x}a grp 0
  XGROUP CREATECONSUMER {x}a grp bob
  XREADGROUP GROUP grp alice COUNT 2 STREAMS {x}a >
  XPENDING {x}a grp
  XACK {x}a grp 1-1
  XCLAIM {x}a grp bob 0 2-1 JUSTID
  XAUTOCLAIM {x}a grp alice 0 0 JUSTID
  ~times XINFO STREAM {x}a
  ~times XINFO GROUPS {x}a
  ~times XINFO CONSUMERS {x}a grp
  ~answers XINFO HELP
  XGROUP SETID {x}a grp 1-1
  XGROUP DELCONSUMER {x}a grp bob
  XGROUP DESTROY {x}a grp
  ~answers XGROUP HELP
  XDEL {x}a 1-1
  XTRIM {x}a MAXLEN 1
  XSETID {x}a 9-1

  EVAL "return {KEYS[1], ARGV[1]}" 1 {s}a v
  EVAL_RO "return redis.call('GET', KEYS[1])" 1 {s}m1
  SCRIPT LOAD "return 1"
  SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db none
  EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0
  EVALSHA_RO e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 {s}a
  SCRIPT KILL
  SCRIPT FLUSH
  ~answers SCRIPT HELP
  FUNCTION LOAD "#!lua name=calls\\nredis.register_function{function_name='one', callback=function() return 1 end, flags={'no-writes'}}"
  FCALL one 1 {s}a
  FCALL_RO one 0
  FUNCTION LIST
  FUNCTION STATS
  FUNCTION DUMP
  FUNCTION DELETE calls
  FUNCTION RESTORE @FUNCTIONS
  FUNCTION KILL
  FUNCTION FLUSH
  ~answers FUNCTION HELP

  PUBLISH channel message
  SPUBLISH channel message
  ~any PUBSUB CHANNELS
  ~any PUBSUB NUMSUB channel
  ~any PUBSUB NUMPAT
  ~any PUBSUB SHARDCHANNELS
  ~any PUBSUB SHARDNUMSUB channel
  ~answers PUBSUB HELP
  ^SUBSCRIBE channel
  ^PSUBSCRIBE chan*
  ^SSUBSCRIBE channel
  ^UNSUBSCRIBE channel
  ^PUNSUBSCRIBE chan*
  ^SUNSUBSCRIBE channel
  ^MONITOR

  WATCH {s}a
  UNWATCH
  MULTI
  SET {s}a 1
  EXEC
  MULTI
  DISCARD
  WAIT 0 0

  DBSIZE
  ~elements KEYS {s}*
  ~form SCAN 0 COUNT 1000
  ~form RANDOMKEY
  PING
  ECHO text
  SELECT 0
  ~answers READONLY
  ~answers READWRITE
  ~answers ASKING
  ~any AUTH wrong
  ^HELLO 9
  ^QUIT
  ^RESET
  ~form TIME
  ~form LASTSAVE
  ~form LOLWUT
  ~form ROLE
  ~form INFO
  CONFIG GET appendonly
  CONFIG RESETSTAT
  ~any CONFIG SET timeout 0
  ~answers CONFIG HELP
  ~form MODULE LIST
  ~answers MODULE HELP
  ~form MEMORY DOCTOR
  ~form MEMORY MALLOC-STATS
  MEMORY PURGE
  ~form MEMORY STATS
  ~answers MEMORY HELP
  ~form SLOWLOG GET
  ~form SLOWLOG LEN
  SLOWLOG RESET
  ~answers SLOWLOG HELP
  ~form LATENCY DOCTOR
  ~any LATENCY GRAPH command
  ~form LATENCY HISTOGRAM
  LATENCY HISTORY command
  LATENCY LATEST
  ~form LATENCY RESET
  ~answers LATENCY HELP

  ~form COMMAND
  ~form COMMAND COUNT
  ~form COMMAND DOCS get
  COMMAND GETKEYS MSET a 1 b 2
  COMMAND GETKEYSANDFLAGS MSET a 1 b 2
  ~form COMMAND INFO get
  ~elements COMMAND LIST FILTERBY PATTERN lpush*
  ~answers COMMAND HELP

  CLIENT SETNAME name
  CLIENT GETNAME
  CLIENT GETREDIR
  ~form CLIENT ID
  ~form CLIENT INFO
  ~form CLIENT LIST
  CLIENT KILL ID 999999999
  CLIENT NO-EVICT OFF
  CLIENT REPLY ON
  ~any CLIENT CACHING YES
  ~any CLIENT TRACKING OFF
  ~any CLIENT TRACKINGINFO
  CLIENT PAUSE 1
  CLIENT UNPAUSE
  CLIENT UNBLOCK 999999999
  ~answers CLIENT HELP

  ~any ACL CAT
  ~any ACL DELUSER nobody
  ~any ACL DRYRUN default GET key
  ~any ACL GENPASS
  ~any ACL GETUSER default
  ~any ACL LIST
  ~any ACL LOAD
  ~any ACL LOG
  ~any ACL SAVE
  ~any ACL SETUSER nobody off
  ~any ACL USERS
  ACL WHOAMI
  ~answers ACL HELP

  ~answers CLUSTER COUNTKEYSINSLOT 0
  ~answers CLUSTER GETKEYSINSLOT 0 10
  ~answers CLUSTER INFO
  ~answers CLUSTER KEYSLOT key
  ~answers CLUSTER LINKS
  ~answers CLUSTER MYID
  ~answers CLUSTER NODES
  ~answers CLUSTER SHARDS
  ~answers CLUSTER SLOTS
  ~any CLUSTER COUNT-FAILURE-REPORTS 0000000000000000000000000000000000000000
  ~any CLUSTER REPLICAS 0000000000000000000000000000000000000000
  ~any CLUSTER SLAVES 0000000000000000000000000000000000000000
  ~answers CLUSTER HELP

  FLUSHDB
  FLUSHALL
`;

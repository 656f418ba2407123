// go-redis with its defaults: the arguments are the port and plain, resp2, cluster or sentinel.
// Says in lines what it did; see client-run.ts.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	ctx        = context.Background()
	mode       = os.Args[2]
	prefix     = "go:" + mode
	client     = connect("127.0.0.1:" + os.Args[1])
	subscriber *redis.PubSub
	input      = bufio.NewReader(os.Stdin)
)

// notApplicable is what a feature panics with that this mode does not have.
type notApplicable string

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func same(got, wanted any) {
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		panic(fmt.Sprintf("%.200v instead of %.200v", got, wanted))
	}
}

func refused(err error, word string) {
	if err == nil || !strings.HasPrefix(err.Error(), word) {
		panic(fmt.Sprintf("%v instead of %s", err, word))
	}
}

func connect(address string) redis.UniversalClient {
	switch mode {
	case "cluster":
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{address}})
	case "sentinel":
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName:    "mymaster",
			SentinelAddrs: []string{address},
		})
	case "resp2":
		return redis.NewClient(&redis.Options{Addr: address, Protocol: 2})
	default:
		return redis.NewClient(&redis.Options{Addr: address})
	}
}

func names(count int, topic string) []string {
	keys := make([]string, count)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s:%s:%d", prefix, topic, i)
	}
	return keys
}

func allBytes() string {
	bytes := make([]byte, 256)
	for i := range bytes {
		bytes[i] = byte(i)
	}
	return string(bytes)
}

func values() {
	check(client.Set(ctx, prefix+":s", "hello", 0).Err())
	same(client.Get(ctx, prefix+":s").Val(), "hello")
	same(client.Get(ctx, prefix+":nothing").Err(), redis.Nil)
	check(client.Set(ctx, allBytes(), allBytes(), 0).Err())
	same(client.Get(ctx, allBytes()).Val() == allBytes(), true)
	check(client.HSet(ctx, prefix+":h", "a", "1", "b", "2").Err())
	same(client.HGetAll(ctx, prefix+":h").Val(), map[string]string{"a": "1", "b": "2"})
	refused(client.LPush(ctx, prefix+":s", "x").Err(), "WRONGTYPE")
	keys := names(300, "many")
	var wait sync.WaitGroup
	for _, key := range keys {
		check(client.Set(ctx, key, "v-"+key, 0).Err())
	}
	for worker := 0; worker < 20; worker++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for _, key := range keys {
				if got := client.Get(ctx, key).Val(); got != "v-"+key {
					fmt.Fprintf(os.Stderr, "%s: %q\n", key, got)
					os.Exit(1)
				}
			}
		}()
	}
	wait.Wait()
	if mode == "cluster" {
		return
	}
	got, err := client.MGet(ctx, keys...).Result()
	check(err)
	for i, key := range keys {
		same(got[i], "v-"+key)
	}
	same(client.Del(ctx, keys...).Val(), 300)
}

func pipeline() {
	keys := names(500, "p")
	calls := client.Pipeline()
	for i := 0; i < 5000; i++ {
		calls.Set(ctx, keys[i%500], fmt.Sprint("v", i), 0)
		calls.Get(ctx, keys[i%500])
	}
	answers, err := calls.Exec(ctx)
	check(err)
	for i := 0; i < 5000; i++ {
		same(answers[2*i].(*redis.StatusCmd).Val(), "OK")
		same(answers[2*i+1].(*redis.StringCmd).Val(), fmt.Sprint("v", i))
	}
}

func multi() {
	count, list := "{"+prefix+"}:count", "{"+prefix+"}:list"
	check(client.Set(ctx, count, 41, 0).Err())
	var incremented, pushed *redis.IntCmd
	var items *redis.StringSliceCmd
	_, err := client.TxPipelined(ctx, func(block redis.Pipeliner) error {
		incremented = block.Incr(ctx, count)
		pushed = block.RPush(ctx, list, "a", "b")
		items = block.LRange(ctx, list, 0, -1)
		return nil
	})
	check(err)
	same(incremented.Val(), 42)
	same(pushed.Val(), 2)
	same(items.Val(), []string{"a", "b"})
	answers, err := client.TxPipelined(ctx, func(block redis.Pipeliner) error {
		block.Set(ctx, count, "x", 0)
		block.Incr(ctx, count)
		block.Get(ctx, count)
		return nil
	})
	refused(err, "ERR value is not an integer")
	same(answers[0].Err(), nil)
	same(answers[2].(*redis.StringCmd).Val(), "x")
}

func watch() {
	key := prefix + ":watched"
	attempt := func(meddle bool) error {
		return client.Watch(ctx, func(own *redis.Tx) error {
			if meddle {
				check(client.Set(ctx, key, "from another", 0).Err())
			}
			_, err := own.TxPipelined(ctx, func(block redis.Pipeliner) error {
				block.Set(ctx, key, "mine", 0)
				return nil
			})
			return err
		}, key)
	}
	same(attempt(true), redis.TxFailedErr)
	check(attempt(false))
	same(client.Get(ctx, key).Val(), "mine")
}

func scripts() {
	add := redis.NewScript("return redis.call('INCRBY', KEYS[1], ARGV[1])")
	for _, key := range names(12, "script") {
		same(add.Run(ctx, client, []string{key}, 3).Val(), 3)
	}
	sha := client.ScriptLoad(ctx, "return {KEYS[1], ARGV[1]}").Val()
	for _, key := range names(12, "sha") {
		same(client.EvalSha(ctx, sha, []string{key}, "x").Val(), []string{key, "x"})
	}
	refused(client.EvalSha(ctx, strings.Repeat("0", 40), []string{prefix + ":s"}).Err(), "NOSCRIPT")
}

func receive() *redis.Message {
	late, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	message, err := subscriber.ReceiveMessage(late)
	check(err)
	return message
}

func pubsub() {
	subscriber = client.Subscribe(ctx, prefix+":news")
	_, err := subscriber.Receive(ctx)
	check(err)
	check(subscriber.PSubscribe(ctx, prefix+":n?ws"))
	_, err = subscriber.Receive(ctx)
	check(err)
	for i := 0; i < 100; i++ {
		check(client.Publish(ctx, prefix+":news", i).Err())
	}
	plain, byPattern := 0, 0
	for i := 0; i < 200; i++ {
		message := receive()
		same(message.Channel, prefix+":news")
		if message.Pattern == "" {
			same(message.Payload, plain)
			plain++
		} else {
			same(message.Payload, byPattern)
			byPattern++
		}
	}
	same(plain, 100)
	check(subscriber.PUnsubscribe(ctx, prefix+":n?ws"))
	shard := client.SSubscribe(ctx, prefix+":shard")
	defer shard.Close()
	_, err = shard.Receive(ctx)
	check(err)
	check(client.SPublish(ctx, prefix+":shard", "hello").Err())
	message, err := shard.ReceiveMessage(ctx)
	check(err)
	same(message.Payload, "hello")
}

func blocking() {
	keys := names(3, "queue")
	waited := keys
	if mode == "cluster" {
		waited = keys[2:]
	}
	popped := make(chan *redis.StringSliceCmd)
	go func() { popped <- client.BLPop(ctx, 10*time.Second, waited...) }()
	check(client.RPush(ctx, keys[2], "late").Err())
	same((<-popped).Val(), []string{keys[2], "late"})
	same(client.BLPop(ctx, time.Second, waited...).Err(), redis.Nil)
	scored := make(chan *redis.ZWithKeyCmd)
	go func() { scored <- client.BZPopMin(ctx, 10*time.Second, prefix+":z") }()
	check(client.ZAdd(ctx, prefix+":z", redis.Z{Score: 1, Member: "one"}).Err())
	same((<-scored).Val().Member, "one")
}

func scan() {
	keys := names(300, "scan")
	for _, key := range keys {
		check(client.Set(ctx, key, "x", 0).Err())
	}
	found := map[string]bool{}
	walk := func(ctx context.Context, node *redis.Client) error {
		pages := node.Scan(ctx, 0, prefix+":scan:*", 200).Iterator()
		for pages.Next(ctx) {
			found[pages.Val()] = true
		}
		return pages.Err()
	}
	switch each := client.(type) {
	case *redis.ClusterClient:
		check(each.ForEachMaster(ctx, walk))
	case *redis.Client:
		check(walk(ctx, each))
	}
	got := []string{}
	for name := range found {
		got = append(got, name)
	}
	sort.Strings(got)
	sort.Strings(keys)
	same(strings.Join(got, " ") == strings.Join(keys, " "), true)
}

func resp3() {
	if mode == "resp2" {
		panic(notApplicable("RESP2 in this mode"))
	}
	facts, err := client.Do(ctx, "HELLO").Result()
	check(err)
	same(strings.Contains(fmt.Sprint(facts), "proto:3"), true)
}

func failover() {
	popped := make(chan *redis.StringSliceCmd)
	go func() {
		answer := client.BLPop(ctx, 0, prefix+":patient")
		// The node that died may have answered: then the client asks again.
		for answer.Err() != nil && strings.Contains(answer.Err().Error(), "UNCERTAIN") {
			answer = client.BLPop(ctx, 0, prefix+":patient")
		}
		popped <- answer
	}()
	var killed atomic.Bool
	go func() {
		input.ReadString('\n')
		killed.Store(true)
	}()
	fmt.Println("kill")
	keys, others, final := names(24, "failover"), map[string]bool{}, 0
	for good := 0; good < 3; {
		final++
		clean := true
		for _, key := range keys {
			if err := client.Set(ctx, key, final, 0).Err(); err != nil {
				clean = false
				if !strings.Contains(err.Error(), "UNCERTAIN") {
					others[err.Error()] = true
				}
			}
		}
		good++
		if !clean || !killed.Load() {
			good = 0
		}
		time.Sleep(50 * time.Millisecond)
	}
	same(others, map[string]bool{})
	for _, key := range keys {
		same(client.Get(ctx, key).Val(), final)
	}
	check(client.RPush(ctx, prefix+":patient", "at last").Err())
	same((<-popped).String(), fmt.Sprintf("blpop %[1]s:patient 0: [%[1]s:patient at last]", prefix))
	news := subscriber.Channel()
	for deadline := time.Now().Add(15 * time.Second); ; {
		check(client.Publish(ctx, prefix+":news", "after").Err())
		select {
		case message := <-news:
			same(message.Payload, "after")
			return
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			panic("never came: a message after the failover")
		}
	}
}

func run(name string, exercise func()) (ok bool) {
	defer func() {
		switch reason := recover().(type) {
		case nil:
			ok = true
			fmt.Println(name, "ok")
		case notApplicable:
			fmt.Println(name, "n.a.:", string(reason))
		default:
			words := strings.Join(strings.Fields(fmt.Sprint(reason)), " ")
			fmt.Printf("%s failed: %.300s\n", name, words)
		}
	}()
	exercise()
	return
}

func main() {
	fmt.Println("version", redis.Version())
	if !run("connect", func() { check(client.Ping(ctx).Err()) }) {
		os.Exit(1)
	}
	run("values", values)
	run("pipeline", pipeline)
	run("multi", multi)
	run("watch", watch)
	run("eval", scripts)
	run("pubsub", pubsub)
	run("blocking", blocking)
	run("scan", scan)
	run("resp3", resp3)
	fmt.Println("ready")
	input.ReadString('\n')
	run("failover", failover)
	fmt.Println("end")
}

// go-redis with its defaults: the arguments are the port and plain, resp2, cluster or universal.
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

const count = 300

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func same(got, wanted any) {
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		panic(fmt.Sprintf("%v instead of %v", got, wanted))
	}
}

func connect(address, mode string) redis.UniversalClient {
	switch mode {
	case "cluster":
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{address}})
	case "resp2":
		return redis.NewClient(&redis.Options{Addr: address, Protocol: 2})
	default:
		return redis.NewClient(&redis.Options{Addr: address})
	}
}

func main() {
	address, mode := "127.0.0.1:"+os.Args[1], os.Args[2]
	ctx := context.Background()
	client := connect(address, mode)
	defer client.Close()

	check(client.Ping(ctx).Err())
	check(client.Set(ctx, "go:greeting", "hello", 0).Err())
	same(client.Get(ctx, "go:greeting").Val(), "hello")
	same(client.Get(ctx, "go:nothing").Err(), redis.Nil)
	check(client.HSet(ctx, "go:hash", "a", "1", "b", "2").Err())
	same(client.HGetAll(ctx, "go:hash").Val(), map[string]string{"a": "1", "b": "2"})
	if err := client.LPush(ctx, "go:greeting", "x").Err(); err == nil || !strings.HasPrefix(err.Error(), "WRONGTYPE") {
		panic(fmt.Sprint("LPUSH on a string: ", err))
	}
	script := redis.NewScript("return {KEYS[1], ARGV[1]}")
	for i := 0; i < 12; i++ {
		key := fmt.Sprint("go:script:", i)
		result, err := script.Run(ctx, client, []string{key}, "x").StringSlice()
		check(err)
		same(result, []string{key, "x"})
	}

	keys := make([]string, count)
	for i := range keys {
		keys[i] = fmt.Sprintf("go:%s:%d", mode, i)
	}
	pipeline := client.Pipeline()
	for _, key := range keys {
		pipeline.Set(ctx, key, "v-"+key, 0)
		pipeline.Get(ctx, key)
	}
	answers, err := pipeline.Exec(ctx)
	check(err)
	for i, key := range keys {
		same(answers[2*i+1].(*redis.StringCmd).Val(), "v-"+key)
	}
	if mode != "cluster" {
		values, err := client.MGet(ctx, keys...).Result()
		check(err)
		for i, key := range keys {
			same(values[i], "v-"+key)
		}
	}

	var wait sync.WaitGroup
	for worker := 0; worker < 20; worker++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for _, key := range keys {
				same(client.Get(ctx, key).Val(), "v-"+key)
			}
		}()
	}
	wait.Wait()

	found := map[string]bool{}
	scan := func(ctx context.Context, node *redis.Client) error {
		pages := node.Scan(ctx, 0, "go:"+mode+":*", 50).Iterator()
		for pages.Next(ctx) {
			found[pages.Val()] = true
		}
		return pages.Err()
	}
	switch each := client.(type) {
	case *redis.ClusterClient:
		check(each.ForEachMaster(ctx, scan))
	case *redis.Client:
		check(scan(ctx, each))
	}
	names := []string{}
	for name := range found {
		names = append(names, name)
	}
	sort.Strings(names)
	sort.Strings(keys)
	same(names, keys)
	fmt.Printf("ok %s go-redis %s\n", mode, redis.Version())
}

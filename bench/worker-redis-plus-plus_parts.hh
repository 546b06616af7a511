// SPDX-License-Identifier: BSD-3-Clause
// worker-redis-plus-plus_parts.hh - what the parts of the worker for redis-plus-plus share.
// AsyncRedis is there when the library was built with it.
#ifndef BENCH_WORKER_REDIS_PLUS_PLUS_PARTS_HH
#define BENCH_WORKER_REDIS_PLUS_PLUS_PARTS_HH
#include <sw/redis++/redis++.h>
#include <thread>
#include <vector>

#include "worker_answers.hh"
#if __has_include(<sw/redis++/async_redis++.h>) && __has_include(<uv.h>)
#define WITH_ASYNC 1
#endif

sw::redis::ConnectionOptions options_of(const char *url);
// Subscribes over a connection of its own, and reads until the last message.
void listen_by(sw::redis::Redis &, listener *);

// Subscribers of ways that have no threads, in threads of their own, each with a connection.
struct Readers {
  explicit Readers(const char *url) : redis(options_of(url))
  {
  }
  ~Readers()
  {
    for (auto &thread : threads)
      thread.join();
  }
  void add(listener *l)
  {
    threads.emplace_back([this, l] { listen_by(redis, l); });
  }
  sw::redis::Redis redis;
  std::vector<std::thread> threads;
};

#if WITH_ASYNC
way async_way();  // callbacks
way shared_way(); // threads that wait for futures
#endif
#endif

// SPDX-License-Identifier: BSD-3-Clause
// worker-redis-plus-plus_async.cc - AsyncRedis over one connection: callbacks in the library's own
// thread, and threads that wait for futures. Subscribers have threads and connections of their own.
#include "worker-redis-plus-plus_parts.hh"
#if WITH_ASYNC
#include <sw/redis++/async_redis++.h>
#include <memory>

namespace
{
using namespace sw::redis;

struct Async {
  explicit Async(const char *url) : redis(options_of(url)), readers(url)
  {
  }
  AsyncRedis redis; // its pool is of one connection
  Readers readers;
};

void *open_async(const plan *plan, char *why)
{
  return open_or_why(why, [=] {
    auto async = std::make_unique<Async>(plan->url);
    async->redis.ping().get();
    return async.release();
  });
}

void close_async(void *self)
{
  delete static_cast<Async *>(self);
}

void listen_async(void *self, listener *l)
{
  static_cast<Async *>(self)->readers.add(l);
}

void listen_waiting(void *self, listener *l)
{
  listen_by(static_cast<Async *>(self)->readers.redis, l);
}

// In the library's own thread.
template <class Result, class Answer> auto then(call *c, int i, Answer answer)
{
  return [=](Future<Result> &&result) {
    try {
      answer(c, i, result.get());
    } catch (const Error &e) {
      call_failed(c, i, e.what());
    }
  };
}

void issue_async(void *self, call *c)
{
  auto &redis = static_cast<Async *>(self)->redis;

  for (int i = 0, n = c->task.n; i < n; i++) {
    const command &cmd = c->task.commands[i];
    if (c->task.kind == KIND_PUSH)
      redis.rpush(argument(cmd, 1), argument(cmd, 2), then<long long>(c, i, answer_number));
    else if (c->task.kind == KIND_PUBLISH)
      redis.publish(argument(cmd, 1), argument(cmd, 2), then<long long>(c, i, answer_number));
    else if (cmd.argc == 2)
      redis.get(argument(cmd, 1), then<OptionalString>(c, i, answer_value));
    else
      redis.set(argument(cmd, 1), argument(cmd, 2), then<bool>(c, i, answer_set));
  }
}

void wait_for_one(AsyncRedis &redis, call *c)
{
  const command &cmd = c->task.commands[0];

  if (c->task.kind == KIND_PUSH)
    answer_number(c, 0, redis.rpush(argument(cmd, 1), argument(cmd, 2)).get());
  else if (c->task.kind == KIND_PUBLISH)
    answer_number(c, 0, redis.publish(argument(cmd, 1), argument(cmd, 2)).get());
  else if (cmd.argc == 2)
    answer_value(c, 0, redis.get(argument(cmd, 1)).get());
  else
    answer_set(c, 0, redis.set(argument(cmd, 1), argument(cmd, 2)).get());
}

void wait_for_batch(AsyncRedis &redis, call *c, int &answered)
{
  std::vector<Future<OptionalString>> gets;
  std::vector<Future<bool>> sets;
  std::size_t get = 0, set = 0;

  for (int i = 0, n = c->task.n; i < n; i++) {
    const command &cmd = c->task.commands[i];
    if (cmd.argc == 2)
      gets.push_back(redis.get(argument(cmd, 1)));
    else
      sets.push_back(redis.set(argument(cmd, 1), argument(cmd, 2)));
  }
  for (int n = c->task.n; answered < n; answered++) {
    if (c->task.commands[answered].argc == 2)
      answer_value(c, answered, gets[get++].get());
    else
      answer_set(c, answered, sets[set++].get());
  }
}

void call_waiting(void *self, call *c)
{
  auto &redis = static_cast<Async *>(self)->redis;
  int answered = 0;

  try {
    if (c->task.kind == KIND_BATCH)
      wait_for_batch(redis, c, answered);
    else
      wait_for_one(redis, c);
  } catch (const Error &e) {
    for (int n = c->task.n; answered < n; answered++)
      call_failed(c, answered, e.what());
  }
}
} // namespace

// ---- ways ----

way async_way()
{
  way w{};

  w.name = "async";
  w.what = "AsyncRedis over one connection, by callbacks";
  w.can = "callbacks open-loop batches pubsub tcp unix";
  w.open = open_async;
  w.close = close_async;
  w.issue = issue_async;
  w.listen = listen_async;
  return w;
}

way shared_way()
{
  way w{};

  w.name = "shared";
  w.what = "OS threads that wait for futures of AsyncRedis over one connection";
  w.can = "threads open-loop batches pubsub tcp unix";
  w.open = open_async;
  w.close = close_async;
  w.call = call_waiting;
  w.listen = listen_waiting;
  return w;
}
#endif

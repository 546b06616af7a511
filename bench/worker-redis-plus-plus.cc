// SPDX-License-Identifier: BSD-3-Clause
// worker-redis-plus-plus.cc - worker for redis-plus-plus: threads that share its pool of
// connections, and one thread with its pipeline.
#include <sw/redis++/redis++.h>
#if __has_include(<sw/redis++/version.h>) // since 1.3.13
#include <sw/redis++/version.h>
#define WITH_VERSION 1
#endif
#include <memory>
#include <vector>

#include "peer.h"
#include "worker-redis-plus-plus_parts.hh"
#include "worker_blocking.h"

using namespace sw::redis;

ConnectionOptions options_of(const char *url)
{
  peer_address a;
  ConnectionOptions options;

  if (peer_parse(url, &a) != 0)
    throw Error("not a URL that is understood here");
  options.type = a.path ? ConnectionType::UNIX : ConnectionType::TCP;
  if (a.path)
    options.path = a.path;
  options.host = a.host;
  options.port = a.port;
  if (a.user[0])
    options.user = a.user;
  options.password = a.password;
  options.db = a.db;
  return options;
}

// Over a connection of its own, until the last message.
void listen_by(Redis &redis, listener *l)
{
  try {
    auto subscriber = redis.subscriber();
    bool more = true;

    subscriber.on_meta([l](Subscriber::MsgType type, OptionalString, long long) {
      if (type == Subscriber::MsgType::SUBSCRIBE)
        listener_ready(l);
    });
    subscriber.on_message([l, &more](std::string, std::string message) {
      more = listener_message(l, message.data(), message.size()) != 0;
    });
    subscriber.subscribe(StringView(l->channel, l->len));
    while (more)
      subscriber.consume();
  } catch (const Error &e) {
    listener_failed(l, e.what());
  }
}

namespace
{
// ---- threads that share a pool ----

void *open_pool(const plan *plan, char *why)
{
  return open_or_why(why, [=] {
    ConnectionPoolOptions pool;
    pool.size = static_cast<std::size_t>(pool_size(plan));
    auto redis = std::make_unique<Redis>(options_of(plan->url), pool);
    redis->ping();
    return redis.release();
  });
}

void close_pool(void *self)
{
  delete static_cast<Redis *>(self);
}

void call_one(Redis &redis, call *c)
{
  const command &cmd = c->task.commands[0];

  switch (c->task.kind) {
  case KIND_POP: {
    auto pair = redis.blpop(argument(cmd, 1), 0);
    answer_pair(c, 0, pair->first, pair->second);
    return;
  }
  case KIND_PUSH:
    answer_number(c, 0, redis.rpush(argument(cmd, 1), argument(cmd, 2)));
    return;
  case KIND_PUBLISH:
    answer_number(c, 0, redis.publish(argument(cmd, 1), argument(cmd, 2)));
    return;
  default:
    if (cmd.argc == 2)
      answer_value(c, 0, redis.get(argument(cmd, 1)));
    else
      answer_set(c, 0, redis.set(argument(cmd, 1), argument(cmd, 2)));
  }
}

template <class Queue> void add(Queue &queue, kind kind, const command &cmd)
{
  if (kind == KIND_PUSH)
    queue.rpush(argument(cmd, 1), argument(cmd, 2));
  else if (kind == KIND_PUBLISH)
    queue.publish(argument(cmd, 1), argument(cmd, 2));
  else if (cmd.argc == 2)
    queue.get(argument(cmd, 1));
  else
    queue.set(argument(cmd, 1), argument(cmd, 2));
}

// One of the replies of a pipeline or a transaction. The parsers of the library throw what is
// wrong.
void answer_queued(call *c, int i, QueuedReplies &replies, std::size_t at)
{
  bool number = c->task.kind == KIND_PUSH || c->task.kind == KIND_PUBLISH;

  try {
    if (number)
      answer_number(c, i, replies.get<long long>(at));
    else if (c->task.commands[i].argc == 2)
      answer_value(c, i, replies.get<OptionalString>(at));
    else
      answer_set(c, i, replies.get<bool>(at));
  } catch (const Error &e) {
    call_failed(c, i, e.what());
  }
}

void call_batch(Redis &redis, call *c)
{
  auto pipe = redis.pipeline(false);

  for (int i = 0; i < c->task.n; i++)
    add(pipe, c->task.kind, c->task.commands[i]);
  auto replies = pipe.exec();
  for (int i = 0, n = c->task.n; i < n; i++)
    answer_queued(c, i, replies, static_cast<std::size_t>(i));
}

// MULTI, SET and EXEC in one go; returns what is answered.
void call_transaction(Redis &redis, call *c, int &answered)
{
  auto transaction = redis.transaction(true, false);
  auto own = transaction.redis();

  own.watch(argument(c->task.commands[0], 1));
  answer_value(c, 0, own.get(argument(c->task.commands[0], 1)));
  answered = 1;
  add(transaction, c->task.kind, c->task.commands[1]);
  auto replies = transaction.exec();
  answered = 2;
  answer_queued(c, 1, replies, 0);
}

void call_pooled(void *self, call *c)
{
  auto &redis = *static_cast<Redis *>(self);
  int answered = 0, n = c->task.n;

  try {
    if (c->task.kind == KIND_TRANSACTION)
      call_transaction(redis, c, answered);
    else if (c->task.kind == KIND_BATCH)
      call_batch(redis, c);
    else
      call_one(redis, c);
  } catch (const Error &e) {
    for (; answered < n; answered++)
      call_failed(c, answered, e.what());
  }
}

void listen_pooled(void *self, listener *l)
{
  listen_by(*static_cast<Redis *>(self), l);
}

// ---- one thread, and the library's pipeline ----

struct Line {
  explicit Line(const char *url) : redis(options_of(url)), pipe(redis.pipeline(false)), readers(url)
  {
  }
  Redis redis; // of one connection, which the pipeline keeps
  Pipeline pipe;
  Readers readers;
  std::vector<part *> waiting, sent;
};

void *open_line(const plan *plan, char *why)
{
  return open_or_why(why, [=] {
    auto line = std::make_unique<Line>(plan->url);
    line->pipe.ping().exec();
    return line.release();
  });
}

void close_line(void *self)
{
  delete static_cast<Line *>(self);
}

void issue_line(void *self, call *c)
{
  auto &line = *static_cast<Line *>(self);

  for (int i = 0, n = c->task.n; i < n; i++)
    line.waiting.push_back(&c->part[i]);
}

void send_line(Line &line, std::size_t &answered)
{
  for (part *p : line.sent)
    add(line.pipe, p->call->task.kind, p->call->task.commands[p->i]);
  auto replies = line.pipe.exec();
  for (part *p : line.sent) {
    answered++;
    answer_queued(p->call, p->i, replies, answered - 1);
  }
}

void turn_line(void *self, int64_t until_ns)
{
  auto &line = *static_cast<Line *>(self);
  std::size_t answered = 0;

  if (line.waiting.empty()) {
    pause_until(until_ns);
    return;
  }
  line.sent.clear();
  line.sent.swap(line.waiting);
  try {
    send_line(line, answered);
  } catch (const Error &e) {
    for (; answered < line.sent.size(); answered++)
      call_failed(line.sent[answered]->call, line.sent[answered]->i, e.what());
    line.pipe = line.redis.pipeline(false); // the old one is of no use any more
  }
}

void listen_line(void *self, listener *l)
{
  static_cast<Line *>(self)->readers.add(l);
}

// ---- all ways ----

way pool_way()
{
  way w{};

  w.name = "pool";
  w.what = "OS threads that share the library's pool of connections";
  w.can = "threads open-loop batches transactions blocking pubsub tcp unix";
  w.open = open_pool;
  w.close = close_pool;
  w.call = call_pooled;
  w.listen = listen_pooled;
  return w;
}

way line_way()
{
  way w{};

  w.name = "pipeline";
  w.what = "one thread, the library's pipeline: calls of all callers at once";
  w.can = "callbacks open-loop batches pubsub tcp unix";
  w.open = open_line;
  w.close = close_line;
  w.issue = issue_line;
  w.turn = turn_line;
  w.listen = listen_line;
  return w;
}

void versions(FILE *out)
{
#if WITH_VERSION
  std::fprintf(out, "version redis-plus-plus %d.%d.%d\n", VERSION_MAJOR, VERSION_MINOR,
               VERSION_PATCH);
#else
  std::fprintf(out, "version redis-plus-plus before-1.3.13\n");
#endif
  std::fprintf(out, "version hiredis %d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
}
} // namespace

int main(int argc, char **argv)
{
  const way ways[] = {
    pool_way(),
    line_way(),
#if WITH_ASYNC
    async_way(),
    shared_way(),
#endif
  };
  worker w{};

  w.name = "poolmux-bench-redis-plus-plus";
  w.ways = ways;
  w.n = static_cast<int>(sizeof ways / sizeof *ways);
  w.versions = versions;
  w.options = PEER_LOGIN_OPTIONS;
  return worker_main(&w, argc, argv);
}

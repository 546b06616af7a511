// SPDX-License-Identifier: BSD-3-Clause
// worker-boost-redis.cc - worker for Boost.Redis: one connection, with callbacks in the thread that
// runs its io_context, and with OS threads that wait for it as the library's own example of a
// synchronous connection does. What occupies a connection has one of its own: a consumer that
// blocks, a subscriber, and a caller's transactions.
#include <boost/asio/deferred.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/version.hpp>
#include <chrono>

#include "worker-boost-redis_parts.hh"
extern "C" {
#include "measure.h"
}

#if BOOST_VERSION >= 108900
#define TRANSPORTS " tcp unix tls"
#else
#define TRANSPORTS " tcp tls"
#endif

namespace
{
using Clock = std::chrono::steady_clock; // now_ns

// ---- requests ----

void push(redis::request &request, const command &cmd)
{
  if (cmd.argc == 2)
    request.push(argument(cmd, 0), argument(cmd, 1));
  else
    request.push(argument(cmd, 0), argument(cmd, 1), argument(cmd, 2));
}

bool is_single(const call *c)
{
  return c->task.n == 1 && c->task.kind != KIND_POP;
}

void answer_one(call *c, int i, bool status, const std::optional<std::string> &text)
{
  if (c->task.kind == KIND_PUSH || c->task.kind == KIND_PUBLISH)
    answer_number(c, i, text ? std::stoll(*text) : -1);
  else if (status)
    answer_set(c, i, text == "OK");
  else
    answer_value(c, i, text);
}

void answer_node(call *c, int i, const redis::resp3::node &node)
{
  using redis::resp3::type;
  bool set = c->task.commands[i].argc == 3;

  if (node.data_type == type::null)
    answer_value(c, i, std::nullopt);
  else if (node.data_type == (set ? type::simple_string : type::blob_string))
    answer_one(c, i, set, node.value);
  else
    answer_text(c, i, ANSWER_OTHER, {});
}

void fail_from(call *c, int from, const std::string &why)
{
  for (int i = from, n = c->task.n; i < n; i++)
    call_failed(c, i, why.c_str());
}

// What is wrong with the answer as a whole; empty: nothing.
template <class Result> std::string trouble_of(error_code ec, const Result &result)
{
  if (ec)
    return ec.message();
  if (!result.has_value())
    return result.error().diagnostic;
  return {};
}

// With its last answer the call may be another one, and the flight another one's.
void land_single(Flight &flight, error_code ec)
{
  auto result = std::move(std::get<0>(flight.one));
  std::string why = trouble_of(ec, result);

  if (!why.empty())
    call_failed(flight.c, 0, why.c_str());
  else
    answer_one(flight.c, 0, flight.c->task.commands[0].argc == 3, result.value());
}

void land_all(Flight &flight, error_code ec)
{
  auto result = std::move(flight.all);
  call *c = flight.c;
  std::string why = trouble_of(ec, result);
  int n = c->task.n;

  if (!why.empty()) {
    fail_from(c, 0, why);
  } else if (c->task.kind == KIND_POP) {
    if (result.value().size() == 3)
      answer_pair(c, 0, result.value()[1].value, result.value()[2].value);
    else
      answer_text(c, 0, ANSWER_OTHER, {});
  } else if (result.value().size() != static_cast<std::size_t>(n)) {
    fail_from(c, 0, "not one answer for each command");
  } else {
    for (int i = 0; i < n; i++)
      answer_node(c, i, result.value()[static_cast<std::size_t>(i)]);
  }
}

// WATCH, GET: the second answer. 0: all is well; else the call is over.
int land_watched(Flight &flight, error_code ec)
{
  auto result = std::move(flight.all);
  std::string why = trouble_of(ec, result);

  if (why.empty() && result.value().size() != 2)
    why = "not one answer for each command";
  if (!why.empty()) {
    fail_from(flight.c, 0, why);
    return -1;
  }
  answer_node(flight.c, 0, result.value()[1]);
  return 0;
}

// MULTI, SET, EXEC: the one answer in EXEC's.
void land_executed(Flight &flight, error_code ec)
{
  auto result = std::move(flight.all);
  std::string why = trouble_of(ec, result);

  if (why.empty() && result.value().size() != 4)
    why = "not one answer in EXEC's";
  if (!why.empty())
    call_failed(flight.c, 1, why.c_str());
  else
    answer_node(flight.c, 1, result.value()[3]);
}

void ask_watched(Flight &flight)
{
  flight.request.clear();
  flight.all = redis::generic_response{};
  flight.request.push("WATCH", argument(flight.c->task.commands[0], 1));
  push(flight.request, flight.c->task.commands[0]);
}

void ask_executed(Flight &flight)
{
  flight.request.clear();
  flight.all = redis::generic_response{};
  flight.request.push("MULTI");
  push(flight.request, flight.c->task.commands[1]);
  flight.request.push("EXEC");
}

void ask(Flight &flight)
{
  flight.request.clear();
  if (is_single(flight.c))
    std::get<0>(flight.one).emplace();
  else
    flight.all = redis::generic_response{};
  for (int i = 0, n = flight.c->task.n; i < n; i++)
    push(flight.request, flight.c->task.commands[i]);
}

Flight &flight_of(Loop &loop, call *c)
{
  Flight &flight = loop.flights[static_cast<std::size_t>(c->place)];

  flight.c = c;
  return flight;
}

redis::connection &connection_of(Loop &loop, const Flight &flight)
{
  bool alone = flight.c->task.kind == KIND_POP || flight.c->task.kind == KIND_TRANSACTION;

  return alone ? *flight.own : *loop.shared;
}

// ---- callbacks ----

void *open_async(const plan *plan, char *why)
{
  return open_or_why(why, [=] { return new Loop(plan); });
}

void close_loop(void *self)
{
  delete static_cast<Loop *>(self);
}

void issue_transaction(Loop &loop, Flight &flight)
{
  redis::connection &own = connection_of(loop, flight);

  ask_watched(flight);
  own.async_exec(flight.request, flight.all, [&flight, &own](error_code ec, std::size_t) {
    if (land_watched(flight, ec) != 0)
      return;
    ask_executed(flight);
    own.async_exec(flight.request, flight.all,
                   [&flight](error_code ec2, std::size_t) { land_executed(flight, ec2); });
  });
}

void issue(void *self, call *c)
{
  Loop &loop = *static_cast<Loop *>(self);
  Flight &flight = flight_of(loop, c);

  if (c->task.kind == KIND_TRANSACTION) {
    issue_transaction(loop, flight);
    return;
  }
  ask(flight);
  if (is_single(c))
    loop.shared->async_exec(flight.request, flight.one,
                            [&flight](error_code ec, std::size_t) { land_single(flight, ec); });
  else
    connection_of(loop, flight)
        .async_exec(flight.request, flight.all,
                    [&flight](error_code ec, std::size_t) { land_all(flight, ec); });
}

// When one of several commands fails the library throws where it reads (general_aggregate adds the
// next answer to a result that is an error): nobody can go on from there.
template <class Run> void or_end(Run run)
{
  try {
    run();
  } catch (const std::exception &e) {
    std::fprintf(stderr, "poolmux-bench-boost-redis: the library cannot go on after: %s\n",
                 e.what());
    std::_Exit(EXIT_FAILURE); // others may be calling
  }
}

// A timer, as run_one_until rounds to milliseconds. Set again it would have one handler more.
void turn(void *self, int64_t until_ns)
{
  Loop &loop = *static_cast<Loop *>(self);
  int64_t most = now_ns() + 100000000;

  until_ns = until_ns < most ? until_ns : most;
  if (!loop.armed_ns || until_ns < loop.armed_ns) {
    loop.armed_ns = until_ns;
    loop.alarm.expires_at(Clock::time_point{std::chrono::nanoseconds{until_ns}});
    loop.alarm.async_wait([&loop](error_code ec) {
      if (!ec)
        loop.armed_ns = 0;
    });
  }
  or_end([&loop] {
    loop.io.run_one();
    loop.io.poll();
  });
}

// ---- OS threads ----

void *open_blocking(const plan *plan, char *why)
{
  return open_or_why(why, [=] {
    auto loop = std::make_unique<Loop>(plan);
    loop->thread = std::thread([io = &loop->io] { or_end([io] { io->run(); }); });
    return loop.release();
  });
}

template <class Response>
void exec(redis::connection &connection, redis::request &request, Response &response)
{
  asio::dispatch(connection.get_executor(), asio::deferred([&] {
                   return connection.async_exec(request, response, asio::deferred);
                 }))(asio::use_future)
      .get();
}

void call_transaction(Loop &loop, Flight &flight)
{
  redis::connection &own = connection_of(loop, flight);

  ask_watched(flight);
  exec(own, flight.request, flight.all);
  if (land_watched(flight, {}) != 0)
    return;
  ask_executed(flight);
  exec(own, flight.request, flight.all);
  land_executed(flight, {});
}

void call_blocking(void *self, call *c)
{
  Loop &loop = *static_cast<Loop *>(self);
  Flight &flight = flight_of(loop, c);

  try {
    if (c->task.kind == KIND_TRANSACTION) {
      call_transaction(loop, flight);
      return;
    }
    ask(flight);
    if (is_single(c)) {
      exec(*loop.shared, flight.request, flight.one);
      land_single(flight, {});
    } else {
      exec(connection_of(loop, flight), flight.request, flight.all);
      land_all(flight, {});
    }
  } catch (const boost::system::system_error &e) { // the connection is lost: the lap ends
    fail_from(c, 0, e.what());
  }
}

// ---- all ways ----

way async_way()
{
  way w{};

  w.name = "async";
  w.what = "one thread, one connection, by callbacks";
  w.can = "callbacks open-loop batches transactions blocking pubsub" TRANSPORTS;
  w.open = open_async;
  w.close = close_loop;
  w.issue = issue;
  w.turn = turn;
  w.listen = listen_async;
  return w;
}

way blocking_way()
{
  way w{};

  w.name = "shared";
  w.what = "OS threads that wait for futures of one connection";
  w.can = "threads open-loop batches transactions blocking pubsub" TRANSPORTS;
  w.open = open_blocking;
  w.close = close_loop;
  w.call = call_blocking;
  w.listen = listen_blocking;
  return w;
}

void versions(FILE *out)
{
  std::fprintf(out, "version Boost %d.%d.%d\n", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000,
               BOOST_VERSION % 100);
}
} // namespace

int main(int argc, char **argv)
{
  const way ways[] = {async_way(), blocking_way()};
  worker w{};

  w.name = "poolmux-bench-boost-redis";
  w.ways = ways;
  w.n = static_cast<int>(sizeof ways / sizeof *ways);
  w.versions = versions;
  w.options = PEER_LOGIN_OPTIONS " " PEER_TLS_OPTIONS;
  return worker_main(&w, argc, argv);
}

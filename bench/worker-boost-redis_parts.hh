// SPDX-License-Identifier: BSD-3-Clause
// worker-boost-redis_parts.hh - what the parts of the worker for Boost.Redis share: its
// connections, and what has to live as long as a call or a subscription.
#ifndef BENCH_WORKER_BOOST_REDIS_PARTS_HH
#define BENCH_WORKER_BOOST_REDIS_PARTS_HH
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/redis/connection.hpp>
#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "peer.h"
#include "worker_answers.hh"

namespace asio = boost::asio;
namespace redis = boost::redis;
using boost::system::error_code;

struct Flight { // one for each place: what has to live until the answer
  call *c = nullptr;
  redis::connection *own = nullptr; // the place's; null: the shared one will do
  redis::request request;
  redis::response<std::optional<std::string>> one; // of a single command
  redis::generic_response all;
};

struct Ear { // of a subscriber
  std::unique_ptr<redis::connection> connection;
  redis::request request;
  redis::generic_response heard;
  listener *l = nullptr;
  std::promise<void> over; // what a thread waits for
};

struct Loop {
  explicit Loop(const plan *);
  ~Loop();
  void open_all(const plan *);
  void hang_up();

  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  asio::steady_timer alarm{io};
  int64_t armed_ns = 0;
  peer_address address{};
  std::unique_ptr<redis::connection> shared;
  std::vector<std::unique_ptr<redis::connection>> owned;
  std::vector<Flight> flights;
  std::vector<Ear> ears;
  std::thread thread; // of the way with OS threads
  std::atomic<bool> closing{false};
  bool opening = true;
  std::string trouble; // while opening
  std::unique_ptr<redis::connection> open_one();
};

// A way's listen: of the thread that runs the io_context, and of one that waits.
void listen_async(void *self, listener *l);
void listen_blocking(void *self, listener *l);
#endif

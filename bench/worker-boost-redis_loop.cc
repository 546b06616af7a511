// SPDX-License-Identifier: BSD-3-Clause
// worker-boost-redis_loop.cc - connections of Boost.Redis, and subscribers. No reconnecting: a
// connection that is lost ends the lap.
#include <boost/redis/src.hpp> // the library, but for its templates

#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/version.hpp>
#include <stdexcept>

#include "worker-boost-redis_parts.hh"

namespace
{
// Files of a directory that hold something else are none of our business.
void trust(asio::ssl::context &tls, const peer_address &a)
{
  auto add = [](void *context, const char *path) {
    error_code ec;

    static_cast<asio::ssl::context *>(context)->load_verify_file(path, ec);
    return ec ? 0 : 1;
  };

  if (!a.ca_file[0] && !a.ca_dir[0])
    tls.set_default_verify_paths();
  if (a.ca_dir[0] && peer_each_file(a.ca_dir, add, &tls) < 1)
    throw std::runtime_error("TLS: no certificate in the directory of tls.ca_dir");
  if (a.ca_file[0])
    tls.load_verify_file(a.ca_file);
}

std::unique_ptr<redis::connection> make_connection(asio::io_context &io, const peer_address &a)
{
  asio::ssl::context tls{asio::ssl::context::tls_client};

  if (a.tls) {
    tls.set_verify_mode(asio::ssl::verify_peer);
    tls.set_verify_callback(
        asio::ssl::host_name_verification(a.server_name[0] ? a.server_name : a.host));
    trust(tls, a);
    if (a.cert_file[0]) {
      tls.set_password_callback(
          [phrase = std::string{a.key_passphrase}](
              std::size_t, asio::ssl::context::password_purpose) { return phrase; });
      tls.use_certificate_chain_file(a.cert_file);
      tls.use_private_key_file(a.key_file, asio::ssl::context::pem);
    }
  }
#if BOOST_VERSION >= 108900
  return std::make_unique<redis::connection>(io, std::move(tls),
                                             redis::logger{redis::logger::level::disabled});
#else
  return std::make_unique<redis::connection>(io, std::move(tls));
#endif
}

redis::config config_of(const peer_address &a)
{
  redis::config config;

  config.addr.host = a.host;
  config.addr.port = std::to_string(a.port);
#if BOOST_VERSION >= 108900
  if (a.path)
    config.unix_socket = a.path;
#endif
  config.use_ssl = a.tls != 0;
  if (a.password[0]) {
    config.username = a.user[0] ? a.user : "default";
    config.password = a.password;
  }
  config.database_index = a.db;
  config.health_check_interval = std::chrono::seconds{0}; // it would wait behind what blocks
  config.reconnect_wait_interval = std::chrono::seconds{0};
  return config;
}
} // namespace

std::unique_ptr<redis::connection> Loop::open_one()
{
  auto connection = make_connection(io, address);
  auto lost = [this, raw = connection.get()](error_code ec) {
    if (closing)
      return;
    trouble = ec ? ec.message() : "the server closed the connection";
    raw->cancel(); // who waits for an answer
    if (!opening) {
      std::fprintf(stderr, "poolmux-bench-boost-redis: connection lost: %s\n", trouble.c_str());
      std::_Exit(EXIT_FAILURE); // others may be calling
    }
  };
  redis::request ping;
  redis::response<std::string> pong;
  bool there = false;

#if BOOST_VERSION >= 108900
  connection->async_run(config_of(address), lost);
#else
  connection->async_run(config_of(address), redis::logger{redis::logger::level::disabled}, lost);
#endif
  ping.push("PING");
  connection->async_exec(ping, pong, [&](error_code ec, std::size_t) {
    there = true;
    if (ec && trouble.empty())
      trouble = ec.message();
    else if (!std::get<0>(pong).has_value())
      trouble = std::get<0>(pong).error().diagnostic;
  });
  while (!there)
    io.run_one();
  if (!trouble.empty())
    throw std::runtime_error(trouble);
  return connection;
}

Loop::Loop(const plan *plan)
{
  if (peer_parse(plan->url, &address) != 0)
    throw std::runtime_error("not a URL that is understood here");
  try {
    open_all(plan);
  } catch (...) {
    hang_up();
    throw;
  }
}

void Loop::open_all(const plan *plan)
{
  int places = plan_places(plan);

  flights.resize(static_cast<std::size_t>(places));
  shared = open_one();
  for (int i = plan->workload.transactions > 0 ? 0 : plan->callers; i < plan_readers(plan); i++) {
    owned.push_back(open_one());
    flights[static_cast<std::size_t>(i)].own = owned.back().get();
  }
  ears.resize(static_cast<std::size_t>(plan->workload.subscribers));
  for (Ear &ear : ears)
    ear.connection = open_one();
  opening = false;
}

// On the thread that runs the io_context, or with none.
void Loop::hang_up()
{
  closing = true;
  work.reset();
  alarm.cancel();
  if (shared)
    shared->cancel();
  for (auto &connection : owned)
    connection->cancel();
  for (Ear &ear : ears) {
    if (ear.connection)
      ear.connection->cancel();
  }
}

Loop::~Loop()
{
  if (thread.joinable()) {
    asio::post(io, [this] { hang_up(); });
    thread.join();
    return;
  }
  hang_up();
  io.restart();
  io.run();
}

// ---- messages ----

namespace
{
// Of one push: what it is, the channel, and the message. Returns whether more may come.
bool take_message(listener *l, const redis::resp3::node *three)
{
  if (three[0].value == "subscribe") {
    listener_ready(l);
    return true;
  }
  return listener_message(l, three[2].value.data(), three[2].value.size()) != 0;
}

// All that has been read since the last time, but for a message that is not there as a whole.
bool hear(Ear &ear)
{
  if (!ear.heard.has_value())
    listener_failed(ear.l, ear.heard.error().diagnostic.c_str());
  auto &nodes = ear.heard.value();
  std::size_t i = 0;
  bool more = true;

  for (; more && i + 4 <= nodes.size(); i += 4) {
    if (nodes[i].aggregate_size != 3)
      listener_failed(ear.l, "not a message");
    more = take_message(ear.l, &nodes[i + 1]);
  }
  nodes.erase(nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(i));
  return more;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" // what replaces it, 1.84 has not
void receive(Loop &loop, Ear &ear)
{
  ear.connection->async_receive([&loop, &ear](error_code ec, std::size_t) {
    if (loop.closing)
      return;
    if (ec)
      listener_failed(ear.l, ec.message().c_str());
    if (hear(ear))
      receive(loop, ear);
    else
      ear.over.set_value();
  });
}
#pragma GCC diagnostic pop
} // namespace

void listen_async(void *self, listener *l)
{
  Loop &loop = *static_cast<Loop *>(self);
  Ear &ear = loop.ears[static_cast<std::size_t>(l->place)];

  ear.l = l;
  ear.connection->set_receive_response(ear.heard);
  receive(loop, ear);
  ear.request.push("SUBSCRIBE", std::string_view{l->channel, l->len});
  ear.connection->async_exec(ear.request, redis::ignore, [l](error_code ec, std::size_t) {
    if (ec)
      listener_failed(l, ec.message().c_str());
  });
}

void listen_blocking(void *self, listener *l)
{
  Loop &loop = *static_cast<Loop *>(self);

  asio::post(loop.io, [=] { listen_async(self, l); });
  loop.ears[static_cast<std::size_t>(l->place)].over.get_future().wait();
}

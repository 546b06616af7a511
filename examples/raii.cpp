// SPDX-License-Identifier: BSD-3-Clause
// raii.cpp - a program with raii.hpp: calls, a batch, a lease and threads; nothing freed by hand.
// usage: raii [URL]     default: $POOLMUX_URL, else the server on this machine
//        c++ -std=c++17 raii.cpp $(pkg-config --cflags --libs poolmux) -pthread
#include "raii.hpp"
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

namespace {
const std::string key = "poolmux:example:raii";

void require(bool good, const char *what, const pmx::Reply &reply) {
  if (good)
    return;
  std::cerr << what << ": " << pmx_status_str(reply.status()) << ": " << reply.error() << "\n";
  throw std::runtime_error{what};
}

// One client for all threads; each waits for its own replies only.
void count(const pmx::Client &client, int threads, int times) {
  std::vector<std::thread> crew;
  for (int i = 0; i < threads; i++)
    crew.emplace_back([&client, times] {
      for (int n = 0; n < times; n++)
        if (auto reply = client.call({"INCR", key}); !reply.ok())
          std::cerr << "INCR: " << reply.error() << "\n"; // exceptions end here, not in a thread
    });
  for (auto &thread : crew)
    thread.join();
}

// A transaction by hand: what is read between WATCH and EXEC is still true when EXEC succeeds.
void double_it(const pmx::Client &client) {
  pmx::Lease lease{client};
  auto watched = lease.call({"WATCH", key});
  require(watched.ok(), "WATCH", watched);
  auto twice = std::to_string(2 * lease.call({"GET", key}).integer());
  for (const pmx::Words &words : {pmx::Words{"MULTI"}, pmx::Words{"SET", key, twice}}) {
    auto reply = lease.call(words);
    require(reply.ok(), "MULTI", reply);
  }
  auto done = lease.call({"EXEC"});
  require(done.ok() && done.size() == 1, "EXEC", done);
}

void run(const pmx::Client &client) {
  std::string binary{"zero \0 and more", 15};
  auto replies = pmx::Batch{client}.add({"SET", key, "0"}).add({"ECHO", binary}).execute();
  require(replies.size() == 2 && replies[1].text() == binary, "the batch", replies);
  count(client, 4, 25);
  double_it(client);
  auto last = client.call({"GETDEL", key});
  require(last.text() == "200", "GETDEL", last);
  std::cout << "counted to " << last.integer() << "\n";
}
} // namespace

int main(int argc, char **argv) {
  try {
    pmx::Client client{argc > 1 ? argv[1] : std::getenv("POOLMUX_URL")};
    auto moved = std::move(client); // it is owned by one name at a time
    run(moved);
  } catch (const std::exception &error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
// raii.hpp - poolmux in C++17: what it gives is freed where it goes out of scope. To be copied into
// a program and changed. Only the constructors of Client and Lease throw, without which there is
// nothing to go on with; how a call ended is in its reply. Threads as in poolmux.h: one Client and
// its replies for all threads, a Lease and a Batch for one at a time. Nothing copies, all can move.
#pragma once
#include <initializer_list>
#include <memory>
#include <poolmux/poolmux.h>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

namespace pmx {
template <auto F> struct Free {
  template <class T> void operator()(T *p) const noexcept { (void)F(p); }
};
template <class T, auto F> using Owned = std::unique_ptr<T, Free<F>>;

// The words of a command, of any bytes: they are C's for the time of the call.
struct Words {
  std::vector<const char *> at;
  std::vector<std::size_t> len;
  Words(std::initializer_list<std::string_view> words) {
    for (auto word : words) at.push_back(word.data()), len.push_back(word.size());
  }
  int size() const noexcept { return static_cast<int>(at.size()); }
};

struct Reply {
  Owned<pmx_reply, pmx_reply_free> p;
  explicit Reply(pmx_reply *owned) noexcept : p{owned} {}
  const pmx_reply *get() const noexcept { return p.get(); } // for the rest of the C functions
  bool ok() const noexcept { return pmx_ok(get()); }
  pmx_status status() const noexcept { return pmx_reply_status(get()); }
  const char *error() const noexcept { return pmx_reply_error(get()); }
  std::size_t size() const noexcept { return pmx_reply_len(get()); }
  Reply operator[](std::size_t i) const { return Reply{pmx_reply_ref(pmx_reply_at(get(), i))}; }
  std::int64_t integer() const noexcept { return pmx_reply_int(get(), nullptr); }
  std::string_view text() const noexcept { // lives as long as the reply; data() is NULL: no text
    std::size_t len;
    const char *text = pmx_reply_str(get(), &len);
    return {text, len};
  }
};

struct Error : std::runtime_error { // why there is no client, or no lease
  pmx_status status;
  explicit Error(const Reply &why) : std::runtime_error{why.error()}, status{why.status()} {}
};

struct Client {
  Owned<pmx_client, pmx_unref> p;
  explicit Client(const char *url, const pmx_options *options = nullptr) {
    pmx_reply *err;
    p.reset(pmx_open(url, options, &err));
    if (!p) throw Error{Reply{err}};
  }
  Reply call(const Words &w, const pmx_call *how = nullptr) const {
    return Reply{pmx_argv(p.get(), how, w.size(), w.at.data(), w.len.data())};
  }
};

struct Lease { // a connection to oneself; goes back at the end of the scope
  Owned<pmx_lease, pmx_release> p;
  explicit Lease(const Client &client, const pmx_call *how = nullptr) {
    pmx_reply *err;
    p.reset(pmx_acquire(client.p.get(), how, &err));
    if (!p) throw Error{Reply{err}};
  }
  Reply call(const Words &w, const pmx_call *how = nullptr) {
    return Reply{pmx_lease_argv(p.get(), how, w.size(), w.at.data(), w.len.data())};
  }
};

struct Batch { // commands that are sent as one call
  Owned<pmx_batch, pmx_batch_free> p;
  explicit Batch(const Client &client) : p{pmx_batch_new(client.p.get())} {}
  Batch &add(const Words &w) { // what was wrong with one, execute() says
    pmx_batch_add_argv(p.get(), w.size(), w.at.data(), w.len.data());
    return *this;
  }
  Reply execute(const pmx_call *how = nullptr) { return Reply{pmx_batch_exec(p.get(), how)}; }
  Reply atomic(const pmx_call *how = nullptr) { return Reply{pmx_batch_exec_atomic(p.get(), how)}; }
};
} // namespace pmx

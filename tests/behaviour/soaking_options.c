/* SPDX-License-Identifier: BSD-3-Clause */
/* soaking_options.c - the options of the soak test's clients: values that make things happen within
 * milliseconds, drawn at random. Any draw is one that pmx_open takes. */
#include <stddef.h>

#include "behaviour/soaking.h"

enum { VALUES = 4 };

/* NULL: the default. */
static const struct {
  const char *name;
  const char *values[VALUES];
  bool live;
} rows[] = {
    {"strategy", {"pool", "mux", "hybrid", "hybrid"}, false},
    {"connect", {"eager", "lazy", NULL, "lazy"}, false},
    {"io", {"thread", "loop", NULL, "loop"}, false},
    {"offline", {"wait", "fail", NULL, NULL}, false},
    {"protocol", {"auto", "resp2", NULL, NULL}, false},
    {"client_name", {"soak", NULL, NULL, NULL}, false},
    {"client_info", {"no", NULL, NULL, "yes"}, false},
    {"command_timeout", {"20ms", "100ms", "200ms", "300ms"}, true},
    {"blocking_grace", {"10ms", "100ms", "0", NULL}, true},
    {"cancel_grace", {"500ms", "20ms", "off", NULL}, true},
    {"retry.max", {"0", "1", "3", NULL}, true},
    {"retry.reads", {"yes", "no", NULL, NULL}, true},
    {"connect_timeout", {"20ms", "100ms", "200ms", "300ms"}, true},
    {"reconnect.min_delay", {"1ms", "2ms", "5ms", "5ms"}, true},
    {"reconnect.max_delay", {"5ms", "10ms", "50ms", "50ms"}, true},
    {"breaker.failures", {"1", "2", NULL, NULL}, true},
    {"request.max_size", {"1KiB", NULL, NULL, NULL}, false},
    {"reply.max_size", {"4KiB", NULL, NULL, NULL}, false},
    {"pool.max_size", {"1", "2", "4", "8"}, true},
    {"pool.min_idle", {"0", "1", NULL, NULL}, true},
    {"pool.max_idle", {"1", "2", NULL, NULL}, true},
    {"pool.order", {"lifo", "fifo", NULL, NULL}, false},
    {"pool.prefill", {"async", "sync", NULL, NULL}, false},
    {"pool.prefill_timeout", {"50ms", "200ms", "300ms", "300ms"}, false},
    {"pool.wait_timeout", {"0", "5ms", "50ms", NULL}, true},
    {"pool.max_waiters", {"0", "2", NULL, NULL}, true},
    {"pool.connect_concurrency", {"1", "2", NULL, NULL}, true},
    {"pool.idle_timeout", {"5ms", "50ms", NULL, "off"}, true},
    {"pool.max_lifetime", {"20ms", "200ms", NULL, "off"}, true},
    {"pool.lifetime_jitter", {"0", "100", NULL, NULL}, true},
    {"pool.check_on_borrow", {"none", "peek", "ping", NULL}, false},
    {"pool.ping_after_idle", {"1ms", "20ms", NULL, NULL}, true},
    {"pool.check_timeout", {"5ms", "50ms", NULL, NULL}, true},
    {"pool.keepalive", {"5ms", "50ms", NULL, NULL}, true},
    {"pool.reset", {"tracked", "close", "always", NULL}, false},
    {"pool.leak_warn", {"5ms", "50ms", NULL, NULL}, true},
    {"pool.leak_reclaim", {"20ms", NULL, NULL, "off"}, true},
    {"mux.lanes", {"1", "2", "3", "8"}, false},
    {"mux.max_inflight", {"1", "4", "64", NULL}, false},
    {"mux.max_queued", {"1KiB", "64KiB", NULL, NULL}, true},
    {"mux.max_abandoned", {"1", "8", NULL, NULL}, false},
    {"mux.full", {"wait", "fail", NULL, NULL}, true},
    {"mux.stall_timeout", {"10ms", "100ms", NULL, NULL}, true},
    {"mux.keepalive", {"5ms", "50ms", NULL, NULL}, true},
    {"mux.spin", {"20us", "1ms", "off", NULL}, true},
    {"mux.yield", {"off", "auto", NULL, NULL}, true},
    {"cancel_grace", {"off", "10ms", "100ms", NULL}, true},
    {"hybrid.bulk_request", {"1KiB", "2KiB", NULL, NULL}, false},
    {"hybrid.batch_commands", {"1", "3", NULL, NULL}, false},
    {"hybrid.batch_size", {"1KiB", "2KiB", NULL, NULL}, false},
    {"hybrid.learn", {"off", "on", "on", NULL}, false},
    {"hybrid.bulk_reply", {"1KiB", "2KiB", NULL, NULL}, false},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

void options_fill(struct rng *rng, pmx_options *options)
{
  for (size_t i = 0; i < ROWS; i++) {
    const char *value = rows[i].values[rng_below(rng, VALUES)];

    if (value)
      CALL(pmx_options_set)(options, rows[i].name, value);
  }
}

/* These are errors without TLS. */
void options_fill_tls(struct rng *rng, pmx_options *options)
{
  static const char *const retire[] = {"off", "20ms", "100ms", "10s"};

  CALL(pmx_options_set)(options, "tls.retire", retire[rng_below(rng, 4)]);
  if (rng_below(rng, 4) == 0)
    CALL(pmx_options_set)(options, "tls.min_version", "1.3");
}

void client_set_some(struct rng *rng, pmx_client *client)
{
  size_t at = rng_below(rng, ROWS);
  const char *value;

  while (!rows[at].live)
    at = (at + 1) % ROWS;
  value = rows[at].values[rng_below(rng, VALUES)];
  if (value)
    CALL(pmx_client_set)(client, rows[at].name, value);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* costs_parts.h - what the parts of poolmux-costs share. A path is one way of a call through the
 * library, or through a peer; running it makes an exact number of calls and nothing else that
 * depends on that number. So what two runs differ by is what the calls cost. */
#ifndef BENCH_COSTS_PARTS_H
#define BENCH_COSTS_PARTS_H
#include <poolmux/poolmux.h>
#include <stddef.h>

enum { COSTS_VALUE = 64, COSTS_BATCH = 100 };

struct path {
  const char *name, *what;
  const char *options; /* for the URL; NULL: a peer, which is there to compare with */
  int tls;
  int callers;                                                  /* calls under way at a time */
  int (*run)(const struct path *, const char *url, long calls); /* 0; -1, and it has said why */
};

/* SET and GET of one key, in turn. */
struct command {
  int argc; /* 2: GET, 3: SET */
  const char *argv[3];
  size_t len[3];
};
const struct command *costs_command(long turn);
int costs_failed(const char *path, const char *why); /* says it, and returns -1 */

pmx_client *costs_open(const struct path *, const char *url); /* NULL, and it has said why */
/* 1: the reply to the command. */
int costs_fits(const struct command *, const pmx_reply *);

/* ---- the library: callers that wait ---- */
int costs_run_threads(const struct path *, const char *url, long calls);
int costs_run_blocking(const struct path *, const char *url, long calls);
int costs_run_lease(const struct path *, const char *url, long calls);
int costs_run_batch(const struct path *, const char *url, long calls);
/* ---- and calls that nobody waits for ---- */
int costs_run_callbacks(const struct path *, const char *url, long calls);
int costs_run_loop(const struct path *, const char *url, long calls);
int costs_run_futures(const struct path *, const char *url, long calls);
/* ---- peers ---- */
int costs_run_hiredis(const struct path *, const char *url, long calls);
int costs_run_hiredis_tls(const struct path *, const char *url, long calls);
int costs_run_pipeline(const struct path *, const char *url, long calls);
int costs_run_libevent(const struct path *, const char *url, long calls);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* costs.c - poolmux-costs: makes an exact number of calls on one path, so that others can count
 * what a call costs. count-costs runs it under callgrind and strace. It looks at each answer, takes
 * no time, and prints nothing. Here is the list of paths; costs_parts.h says who runs them. */
#include <gnu/libc-version.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "costs_parts.h"
#include "measure.h"

enum { URL_SIZE = 4096 };

static const struct path paths[] = {
    {"pool", "blocking, alone", "strategy=pool", 0, 1, costs_run_threads},
    {"mux", "blocking, alone", "strategy=mux", 0, 1, costs_run_threads},
    {"hybrid", "blocking, alone", "strategy=hybrid", 0, 1, costs_run_threads},
    {"pool-64", "64 threads on 64 connections",
     "strategy=pool&pool.max_size=64&pool.min_idle=64&pool.prefill=sync", 0, 64, costs_run_threads},
    {"mux-64", "64 threads on a lane that do not give way", "strategy=mux&mux.yield=off", 0, 64,
     costs_run_threads},
    {"hybrid-64", "64 threads on a lane that do not give way", "strategy=hybrid&mux.yield=off", 0,
     64, costs_run_threads},
    {"mux-64-yield", "64 threads on a lane that give way", "strategy=mux", 0, 64,
     costs_run_threads},
    {"hybrid-64-yield", "64 threads on a lane that give way", "strategy=hybrid", 0, 64,
     costs_run_threads},
    {"hybrid-blocking", "a command that blocks (BLMOVE), alone", "strategy=hybrid", 0, 1,
     costs_run_blocking},
    {"hybrid-lease", "a lease, one command in it", "strategy=hybrid", 0, 1, costs_run_lease},
    {"mux-batch", "a batch of 100", "strategy=mux", 0, 1, costs_run_batch},
    {"pool-batch", "a batch of 100", "strategy=pool", 0, 1, costs_run_batch},
    {"callbacks-64", "64 callbacks under way, io=thread", "strategy=mux", 0, 64,
     costs_run_callbacks},
    {"callbacks-256", "256 callbacks under way, io=thread", "strategy=mux", 0, 256,
     costs_run_callbacks},
    {"callbacks-64-loop", "64 callbacks under way, io=loop", "strategy=mux&io=loop", 0, 64,
     costs_run_loop},
    {"futures-64", "64 futures, begun and taken, io=thread", "strategy=mux", 0, 64,
     costs_run_futures},
    {"futures-64-loop", "64 futures, begun and taken, io=loop", "strategy=mux&io=loop", 0, 64,
     costs_run_futures},
    {"pool-tls", "blocking, alone, TLS", "strategy=pool", 1, 1, costs_run_threads},
    {"mux-tls", "blocking, alone, TLS", "strategy=mux", 1, 1, costs_run_threads},
    {"callbacks-64-tls", "64 callbacks under way, TLS", "strategy=mux", 1, 64, costs_run_callbacks},
    {"hiredis", "hiredis, blocking", NULL, 0, 1, costs_run_hiredis},
    {"hiredis-tls", "hiredis with OpenSSL by hand", NULL, 1, 1, costs_run_hiredis_tls},
    {"hiredis-pipeline", "hiredis, 64 written and 64 read", NULL, 0, 64, costs_run_pipeline},
    {"libevent-64", "hiredis under libevent, 64 under way", NULL, 0, 64, costs_run_libevent},
    {"libevent-256", "hiredis under libevent, 256 under way", NULL, 0, 256, costs_run_libevent},
};
enum { PATHS = sizeof paths / sizeof *paths };

/* ---- what the parts use ---- */

const struct command *costs_command(long turn)
{
  static const char key[] = "poolmux:costs";
  static const char value[] = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";
  static const struct command both[2] = {
      {3, {"SET", key, value}, {3, sizeof key - 1, COSTS_VALUE}},
      {2, {"GET", key, NULL}, {3, sizeof key - 1, 0}},
  };

  return &both[turn & 1];
}

int costs_failed(const char *path, const char *why)
{
  fprintf(stderr, "poolmux-costs: %s: %s\n", path, why);
  return -1;
}

/* The slow pace of what counts must not end a call. */
pmx_client *costs_open(const struct path *path, const char *url)
{
  char text[URL_SIZE];
  pmx_client *client;
  pmx_reply *err;

  snprintf(text, sizeof text, "%s%c%s&command_timeout=2min&connect_timeout=1min", url,
           strchr(url, '?') ? '&' : '?', path->options);
  client = pmx_open(text, NULL, &err);
  if (!client)
    costs_failed(path->name, pmx_reply_error(err));
  pmx_reply_free(err);
  return client;
}

int costs_fits(const struct command *command, const pmx_reply *reply)
{
  size_t len = 0;

  if (command->argc == 3)
    return pmx_ok(reply);
  return pmx_reply_str(reply, &len) != NULL && len == COSTS_VALUE;
}

/* ---- what it was built with ---- */

#ifdef __clang__
#define COMPILER "clang"
#define COMPILER_MAJOR __clang_major__
#define COMPILER_MINOR __clang_minor__
#else
#define COMPILER "gcc"
#define COMPILER_MAJOR __GNUC__
#define COMPILER_MINOR __GNUC_MINOR__
#endif

/* Those that change what is compiled. */
static void print_flags(void)
{
  static char flags[] = BENCH_CFLAGS;

  for (char *word = strtok(flags, " "); word; word = strtok(NULL, " ")) {
    if ((word[1] == 'O' || word[1] == 'm' || word[1] == 'f') && !strstr(word, "-prefix-map="))
      printf(" %s", word);
  }
}

/* One line: where any of it differs, so may the counts. Of OpenSSL only the series, for it is
 * mended more often. */
static void print_built(void)
{
  unsigned long ssl = OpenSSL_version_num();

  printf("%s, %s %d.%d", BENCH_HOST_CPU, COMPILER, COMPILER_MAJOR, COMPILER_MINOR);
  print_flags();
#ifdef PMX_PROBES
  printf(", probes");
#endif
  printf(", glibc %s, %s, OpenSSL %lu.%lu\n", gnu_get_libc_version(), pmx_build_info(), ssl >> 28,
         ssl >> 20 & 0xff);
}

/* ---- the whole ---- */

static int usage(FILE *out, int status)
{
  fputs("usage: poolmux-costs PATH CALLS | --list | --built\n"
        "With $POOLMUX_URL, and for TLS $POOLMUX_TLS_URL and $POOLMUX_TLS_DIR, which\n"
        "tests/with-server sets. CALLS is a multiple of how many are under way at a time.\n",
        out);
  return status;
}

static void list(void)
{
  for (size_t i = 0; i < PATHS; i++)
    printf("%s\t%d\t%s\t%s\n", paths[i].name, paths[i].callers, paths[i].options ? "ours" : "peer",
           paths[i].what);
}

/* NULL: not set. */
static const char *url_for(const struct path *path)
{
  static char text[URL_SIZE];
  const char *url = getenv(path->tls ? "POOLMUX_TLS_URL" : "POOLMUX_URL");
  const char *dir = getenv("POOLMUX_TLS_DIR");

  if (!path->tls || !url)
    return url;
  if (!dir)
    return NULL;
  snprintf(text, sizeof text, "%s?tls.ca_file=%s/ca.crt", url, dir);
  return text;
}

static int run(const struct path *path, long calls)
{
  const char *url = url_for(path);

  if (!url)
    return costs_failed(path->name, "no server; see --help");
  if (calls % path->callers != 0)
    return costs_failed(path->name, "this number of calls cannot be shared out");
  return path->run(path, url, calls);
}

int main(int argc, char **argv)
{
  long calls;

  if (argc == 2 && strcmp(argv[1], "--help") == 0)
    return usage(stdout, 0);
  if (argc == 2 && strcmp(argv[1], "--list") == 0) {
    list();
    return 0;
  }
  if (argc == 2 && strcmp(argv[1], "--built") == 0) {
    print_built();
    return 0;
  }
  if (argc != 3 || !parse_count(argv[2], 1, 1000000000, &calls))
    return usage(stderr, 2);
  for (size_t i = 0; i < PATHS; i++) {
    if (strcmp(argv[1], paths[i].name) == 0)
      return run(&paths[i], calls) ? EXIT_FAILURE : EXIT_SUCCESS;
  }
  return usage(stderr, 2);
}

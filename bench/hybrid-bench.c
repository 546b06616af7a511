/* SPDX-License-Identifier: BSD-3-Clause */
/* hybrid-bench.c - what those feel who share a lane, while others block or read large values: how
 * long GETs of 64 bytes take. Two cases, each with its contestants in one run and in turn:
 *
 *   blocked  GETs at a steady rate, beside calls that wait in BLPOP 0 and beside none
 *   large    callers in a closed loop, beside one that reads 8 MiB values, with mux, with hybrid, and
 *            with a connection for each of them, which shows what the server alone makes them wait
 *
 * Starts no server: run it with tests/with-server. */
#include <poolmux/poolmux.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measure.h"

enum { MAX_CALLERS = 1024, MAX_ROUNDS = 1000, MAX_CONTESTANTS = 4 };

struct settings {
  const char *url;
  long rounds, round_ms, blocked, rate, callers, large;
};

struct contestant {
  const char *name, *strategy, *learn;
  long blocked; /* so many calls wait in BLPOP */
  int reads_large;
  pmx_client *client;
  pmx_future *waiting[MAX_CALLERS];
  double p50[MAX_ROUNDS], p99[MAX_ROUNDS], calls[MAX_ROUNDS], large[MAX_ROUNDS];
};

static const char small_key[] = "poolmux:bench:small", large_key[] = "poolmux:bench:large";

static void must(pmx_reply *reply, const char *what)
{
  if (!pmx_ok(reply)) {
    fprintf(stderr, "%s: %s\n", what, pmx_reply_error(reply));
    exit(EXIT_FAILURE);
  }
  pmx_reply_free(reply);
}

static void set(pmx_options *options, const char *name, const char *value)
{
  if (pmx_options_set(options, name, value) != PMX_OK) {
    fprintf(stderr, "%s\n", pmx_options_error(options));
    exit(EXIT_FAILURE);
  }
}

/* ---- contestants ---- */

/* A pool has one for every caller: what it measures is the server, and nobody waits for others. */
static long most_connections(const struct settings *s, const struct contestant *c)
{
  if (strcmp(c->strategy, "pool") == 0)
    return s->callers + 1;
  return c->blocked > 4 ? c->blocked : 4;
}

static void begin(const struct settings *s, struct contestant *c)
{
  pmx_options *options = pmx_options_new();
  char size[NUMBER_SIZE];
  pmx_reply *err;

  snprintf(size, sizeof size, "%ld", most_connections(s, c));
  set(options, "strategy", c->strategy);
  set(options, "pool.max_size", size);
  set(options, "hybrid.learn", c->learn);
  c->client = pmx_open(s->url, options, &err);
  pmx_options_free(options);
  if (!c->client)
    must(err, s->url);
}

static void begin_blocked(struct contestant *c)
{
  pmx_stats stats = PMX_STATS_INIT;

  for (long i = 0; i < c->blocked; i++)
    c->waiting[i] = pmx_submit(c->client, NULL, "BLPOP poolmux:bench:never 0");
  do
    pmx_stats_get(c->client, &stats);
  while ((long)stats.in_use < c->blocked);
}

static void end(struct contestant *c)
{
  pmx_close(c->client, 0);
  for (long i = 0; i < c->blocked; i++)
    pmx_future_free(c->waiting[i]);
  pmx_unref(c->client);
}

/* ---- callers ---- */

struct caller {
  pthread_t thread;
  const struct settings *settings;
  struct contestant *contestant;
  int64_t until;
  int paced;
  long count;
  struct histogram times;
};

static void sleep_until(int64_t at)
{
  struct timespec when = {at / 1000000000, at % 1000000000};

  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

/* Paced: a call that is late does not put the next one off, and counts from when it was due. */
static void *call_small(void *arg)
{
  struct caller *c = arg;
  int64_t step = c->paced ? 1000000000 / c->settings->rate : 0, due = now_ns();

  while (due < c->until) {
    if (c->paced)
      sleep_until(due);
    else
      due = now_ns();
    must(pmx_command(c->contestant->client, "GET %s", small_key), "GET");
    histogram_add(&c->times, now_ns() - due);
    c->count++;
    due += c->paced ? step : 0;
  }
  return NULL;
}

static void *call_large(void *arg)
{
  struct caller *c = arg;

  while (now_ns() < c->until) {
    must(pmx_command(c->contestant->client, "GET %s", large_key), "GET");
    c->count++;
  }
  return NULL;
}

static void start(struct caller *caller, const struct settings *s, struct contestant *c, int paced,
                  void *(*run)(void *))
{
  *caller = (struct caller){.settings = s, .contestant = c, .paced = paced};
  caller->until = now_ns() + s->round_ms * 1000000;
  if (pthread_create(&caller->thread, NULL, run, caller) != 0) {
    perror("pthread_create");
    exit(EXIT_FAILURE);
  }
}

static void run_round(const struct settings *s, struct contestant *c, long callers, long round)
{
  static struct caller small[MAX_CALLERS], large;
  static struct histogram all;

  memset(&all, 0, sizeof all);
  for (long i = 0; i < callers; i++)
    start(&small[i], s, c, !c->reads_large, call_small);
  if (c->reads_large)
    start(&large, s, c, 0, call_large);
  for (long i = 0; i < callers; i++) {
    pthread_join(small[i].thread, NULL);
    histogram_merge(&all, &small[i].times);
  }
  if (c->reads_large)
    pthread_join(large.thread, NULL);
  if (round < 0)
    return;
  c->p50[round] = (double)histogram_quantile(&all, 0.5);
  c->p99[round] = (double)histogram_quantile(&all, 0.99);
  c->calls[round] = (double)all.count * 1000 / (double)s->round_ms;
  c->large[round] = c->reads_large ? (double)large.count * 1000 / (double)s->round_ms : 0;
}

/* ---- a case: the first contestant is what the others are compared with ---- */

static void print(const struct settings *s, struct contestant *c, const struct contestant *first,
                  const double *firsts)
{
  char calls[NUMBER_SIZE], p50[NUMBER_SIZE], p99[NUMBER_SIZE];
  double ratios[MAX_ROUNDS], large = spread_of(c->large, (size_t)s->rounds).median;

  for (long i = 0; i < s->rounds; i++)
    ratios[i] = c->p99[i] / firsts[i];
  printf("%-26s %10s %10s %10s", c->name,
         count_text(calls, spread_of(c->calls, (size_t)s->rounds).median),
         duration_text(p50, spread_of(c->p50, (size_t)s->rounds).median),
         duration_text(p99, spread_of(c->p99, (size_t)s->rounds).median));
  if (c != first)
    printf("  %5.2f", spread_of(ratios, (size_t)s->rounds).median);
  if (c->reads_large)
    printf("%*s %.0f", c == first ? 9 : 2, "", large);
  printf("\n");
}

static void compare(const struct settings *s, struct contestant *cs, int n, long callers)
{
  static double firsts[MAX_ROUNDS];

  for (int i = 0; i < n; i++) {
    begin(s, &cs[i]);
    begin_blocked(&cs[i]);
  }
  for (long round = -1; round < s->rounds; round++) {
    for (int i = 0; i < n; i++)
      run_round(s, &cs[(round + 1 + i) % n], callers, round);
  }
  memcpy(firsts, cs[0].p99, sizeof firsts);
  printf("%-26s %10s %10s %10s  %5s  %s\n", "", "calls/s", "p50", "p99", "ratio",
         cs[0].reads_large ? "large/s" : "");
  for (int i = 0; i < n; i++)
    print(s, &cs[i], &cs[0], firsts);
  for (int i = 0; i < n; i++)
    end(&cs[i]);
}

static void case_blocked(const struct settings *s)
{
  static struct contestant cs[2];

  cs[0] = (struct contestant){.name = "nobody blocks", .strategy = "hybrid", .learn = "observe"};
  cs[1] = cs[0];
  cs[1].name = "beside blocked callers";
  cs[1].blocked = s->blocked;
  printf("%ld GETs a second, and %ld calls in BLPOP 0\n", s->rate, s->blocked);
  compare(s, cs, 2, 1);
}

static void case_large(const struct settings *s)
{
  static struct contestant cs[MAX_CONTESTANTS];
  static const char *const names[] = {"mux", "hybrid, learn=observe", "hybrid, learn=on",
                                      "pool, one for each"};
  static const char *const strategies[] = {"mux", "hybrid", "hybrid", "pool"};
  static const char *const learn[] = {"off", "observe", "on", "off"};

  for (int i = 0; i < MAX_CONTESTANTS; i++)
    cs[i] = (struct contestant){
        .name = names[i], .strategy = strategies[i], .learn = learn[i], .reads_large = 1};
  printf("\n%ld callers of GET beside one that reads values of %ld bytes\n", s->callers, s->large);
  compare(s, cs, MAX_CONTESTANTS, s->callers);
}

static void fill(const struct settings *s)
{
  struct contestant c = {.strategy = "pool", .learn = "off"};
  char value[65] = {0};

  memset(value, 'v', 64);
  begin(s, &c);
  must(pmx_command(c.client, "SET %s %s EX 3600", small_key, value), "SET");
  must(pmx_command(c.client, "SETRANGE %s %ld x", large_key, s->large - 1), "SETRANGE");
  must(pmx_command(c.client, "EXPIRE %s 3600", large_key), "EXPIRE");
  end(&c);
}

/* ---- options ---- */

static void usage(FILE *out)
{
  fputs("usage: poolmux-hybrid-bench [OPTION VALUE]...\n"
        "  --url URL        redis://HOST:PORT or unix:///PATH (default: $POOLMUX_URL, else\n"
        "                   redis://127.0.0.1:6379)\n"
        "  --rounds N       rounds of each contestant (default: 9)\n"
        "  --round-ms N     how long each takes (default: 2000)\n"
        "  --blocked N      calls that wait in BLPOP (default: 64)\n"
        "  --rate N         GETs a second beside them (default: 1000)\n"
        "  --callers N      callers beside the reader of large values (default: 32)\n"
        "  --large N        bytes of a large value (default: 8388608)\n"
        "No server is started: tests/with-server poolmux-hybrid-bench brings one.\n",
        out);
}

static int read_option(struct settings *s, int option)
{
  switch (option) {
  case 'u':
    s->url = optarg;
    return 1;
  case 'r':
    return parse_count(optarg, 1, MAX_ROUNDS, &s->rounds);
  case 'm':
    return parse_count(optarg, 10, 600000, &s->round_ms);
  case 'b':
    return parse_count(optarg, 0, MAX_CALLERS, &s->blocked);
  case 'f':
    return parse_count(optarg, 1, 100000, &s->rate);
  case 'c':
    return parse_count(optarg, 1, MAX_CALLERS, &s->callers);
  case 'l':
    return parse_count(optarg, 1, 1 << 28, &s->large);
  default:
    return 0;
  }
}

static int read_options(struct settings *s, int argc, char **argv)
{
  static const struct option options[] = {
      {"url", required_argument, NULL, 'u'},
      {"rounds", required_argument, NULL, 'r'},
      {"round-ms", required_argument, NULL, 'm'},
      {"blocked", required_argument, NULL, 'b'},
      {"rate", required_argument, NULL, 'f'},
      {"callers", required_argument, NULL, 'c'},
      {"large", required_argument, NULL, 'l'},
      {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  int option, index = 0;

  while ((option = getopt_long(argc, argv, "h", options, &index)) != -1) {
    if (option == 'h') {
      usage(stdout);
      exit(EXIT_SUCCESS);
    }
    if (option != '?' && read_option(s, option))
      continue;
    if (option != '?')
      fprintf(stderr, "--%s %s: not possible\n", options[index].name, optarg);
    return 0;
  }
  return optind == argc;
}

int main(int argc, char **argv)
{
  struct settings s = {.url = getenv("POOLMUX_URL"),
                       .rounds = 9,
                       .round_ms = 2000,
                       .blocked = 64,
                       .rate = 1000,
                       .callers = 32,
                       .large = 8 << 20};

  if (!s.url)
    s.url = "redis://127.0.0.1:6379";
  if (!read_options(&s, argc, argv)) {
    usage(stderr);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  fill(&s);
  case_blocked(&s);
  case_large(&s);
  return EXIT_SUCCESS;
}

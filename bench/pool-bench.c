/* SPDX-License-Identifier: BSD-3-Clause */
/* pool-bench.c - what the pool costs: calls through it, from several threads, against one hiredis
 * context per thread, which is the least that can be paid. Both in one run and in turn, so that
 * what else the machine does hits both. Then order.c. Starts no server: run it with
 * tests/with-server. */
#include <poolmux/poolmux.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "order.h"
#include "peer.h"

enum { MAX_THREADS = 64, MAX_CASES = 8, MAX_ROUNDS = 1000, KEY_SIZE = 64 };

struct settings {
  const char *url;
  const char *only; /* "poolmux" or "hiredis": its calls alone, nothing printed */
  long calls, rounds, size, callers, connections;
  int cases, threads[MAX_CASES];
};

/* ---- the two sides ---- */

struct caller {
  pthread_t thread;
  pthread_barrier_t *barrier;
  int (*get)(struct caller *); /* one GET; 0 = the value has come */
  pmx_client *client;
  redisContext *context;
  char key[KEY_SIZE];
  size_t size;
  long calls, failed;
  int64_t begun, ended;
  struct histogram times;
};

static int get_hiredis(struct caller *c)
{
  const char *argv[] = {"GET", c->key};
  redisReply *reply = redisCommandArgv(c->context, 2, argv, NULL);
  int good = reply && reply->type == REDIS_REPLY_STRING && (size_t)reply->len == c->size;

  freeReplyObject(reply);
  return good ? 0 : -1;
}

static int get_poolmux(struct caller *c)
{
  const char *argv[] = {"GET", c->key};
  pmx_reply *reply = pmx_argv(c->client, NULL, 2, argv, NULL);
  size_t len = 0;
  int good = pmx_reply_str(reply, &len) != NULL && len == c->size;

  pmx_reply_free(reply);
  return good ? 0 : -1;
}

enum side { HIREDIS, POOLMUX };
static const char *const side_names[] = {"hiredis", "poolmux"};
static int (*const side_gets[])(struct caller *) = {get_hiredis, get_poolmux};

static void *call(void *arg)
{
  struct caller *c = arg;
  int64_t before, after;

  pthread_barrier_wait(c->barrier);
  c->begun = before = now_ns();
  for (long i = 0; i < c->calls; i++) {
    c->failed += c->get(c) != 0;
    after = now_ns();
    histogram_add(&c->times, after - before);
    before = after;
  }
  c->ended = before;
  return NULL;
}

/* Calls per second of all threads together; < 0: failed. */
static double run_side(enum side side, struct caller *callers, int threads, long calls)
{
  pthread_barrier_t barrier;
  int64_t begun = INT64_MAX, ended = 0;
  long failed = 0;

  pthread_barrier_init(&barrier, NULL, (unsigned)threads);
  for (int i = 0; i < threads; i++) {
    callers[i].barrier = &barrier;
    callers[i].get = side_gets[side];
    callers[i].calls = calls / threads;
    callers[i].failed = 0;
    if (pthread_create(&callers[i].thread, NULL, call, &callers[i]) != 0) {
      perror("pthread_create");
      exit(EXIT_FAILURE);
    }
  }
  for (int i = 0; i < threads; i++) {
    pthread_join(callers[i].thread, NULL);
    failed += callers[i].failed;
    begun = callers[i].begun < begun ? callers[i].begun : begun;
    ended = callers[i].ended > ended ? callers[i].ended : ended;
  }
  pthread_barrier_destroy(&barrier);
  if (failed)
    fprintf(stderr, "%s: %ld of %ld calls failed\n", side_names[side], failed, calls);
  return failed ? -1 : (double)(calls / threads * threads) / ((double)(ended - begun + 1) / 1e9);
}

/* ---- connections ---- */

static redisContext *open_hiredis(const char *url)
{
  char why[PEER_WHY];
  redisContext *context = peer_open(url, why);

  if (!context)
    fprintf(stderr, "hiredis: %s: %s\n", url, why);
  return context;
}

static pmx_client *open_poolmux(const char *url, int threads)
{
  pmx_options *options = pmx_options_new();
  char size[NUMBER_SIZE];
  pmx_client *client;
  pmx_reply *err;

  snprintf(size, sizeof size, "%d", threads);
  pmx_options_set(options, "strategy", "pool");
  pmx_options_set(options, "pool.max_size", size);
  client = pmx_open(url, options, &err);
  if (!client)
    fprintf(stderr, "%s\n", pmx_reply_error(err));
  pmx_reply_free(err);
  pmx_options_free(options);
  return client;
}

static int open_caller(struct caller *c, int i, const struct settings *s, pmx_client *client)
{
  char *value = malloc((size_t)s->size + 1);
  int good;

  if (!value)
    return -1;
  memset(value, 'v', (size_t)s->size);
  value[s->size] = '\0';
  c->client = client;
  c->size = (size_t)s->size;
  snprintf(c->key, sizeof c->key, "poolmux:bench:%ld:%d", s->size, i);
  good = pmx_reply_finish(pmx_do(client, NULL, "SET", c->key, value, "EX", "600", NULL)) == PMX_OK;
  free(value);
  c->context = open_hiredis(s->url);
  return good && c->context ? 0 : -1;
}

static void close_callers(struct caller *callers, int n)
{
  for (int i = 0; i < n; i++) {
    pmx_reply_free(pmx_do(callers[i].client, NULL, "DEL", callers[i].key, NULL));
    if (callers[i].context)
      redisFree(callers[i].context);
  }
}

/* ---- rounds and their report ---- */

static struct histogram *times_of(const struct caller *callers, int threads)
{
  static struct histogram all;

  memset(&all, 0, sizeof all);
  for (int i = 0; i < threads; i++)
    histogram_merge(&all, &callers[i].times);
  return &all;
}

/* Returns the median time of a call. */
static double print_side(const char *title, const char *name, double *rates, size_t n,
                         const struct histogram *times)
{
  char rate[NUMBER_SIZE], low[NUMBER_SIZE], high[NUMBER_SIZE], p50[NUMBER_SIZE], p99[NUMBER_SIZE];
  double median = (double)histogram_quantile(times, 0.5);
  struct spread spread = spread_of(rates, n);

  printf("%-11s %-9s %9s   %9s %9s   %9s %9s\n", title, name, count_text(rate, spread.median),
         count_text(low, spread.low), count_text(high, spread.high), duration_text(p50, median),
         duration_text(p99, (double)histogram_quantile(times, 0.99)));
  return median;
}

/* rates[side][round]; callers: one array per side, for their histograms. The ratios are of
 * neighbours, and of the median times the other way round: more than 1 is in favour of the pool. */
static void print_case(const struct settings *s, int threads, double rates[2][MAX_ROUNDS],
                       struct caller *const callers[2])
{
  double ratios[MAX_ROUNDS], medians[2];
  size_t n = (size_t)s->rounds;
  struct spread ratio;
  char title[NUMBER_SIZE];

  for (size_t i = 0; i < n; i++)
    ratios[i] = rates[POOLMUX][i] / rates[HIREDIS][i];
  ratio = spread_of(ratios, n);
  snprintf(title, sizeof title, "%d thread%s", threads, threads == 1 ? "" : "s");
  for (int side = HIREDIS; side <= POOLMUX; side++)
    medians[side] = print_side(side == HIREDIS ? title : "", side_names[side], rates[side], n,
                               times_of(callers[side], threads));
  printf("%-11s %-9s %9.2f   %9.2f %9.2f   %9.2f\n", "", "ratio", ratio.median, ratio.low,
         ratio.high, medians[HIREDIS] / medians[POOLMUX]);
}

/* What goes first changes from round to round. The first round is not counted: it connects. */
static int run_rounds(const struct settings *s, int threads, struct caller *const callers[2])
{
  static double rates[2][MAX_ROUNDS];

  for (long round = -1; round < s->rounds; round++) {
    for (int i = 0; i < 2; i++) {
      enum side side = (round + i) % 2 ? POOLMUX : HIREDIS;
      double rate = run_side(side, callers[side], threads, s->calls);

      if (rate < 0)
        return -1;
      if (round >= 0)
        rates[side][round] = rate;
      for (int k = 0; round < 0 && k < threads; k++)
        memset(&callers[side][k].times, 0, sizeof callers[side][k].times);
    }
  }
  print_case(s, threads, rates, callers);
  return 0;
}

static int with_callers(const struct settings *s, int threads, enum side only)
{
  pmx_client *client = open_poolmux(s->url, threads);
  struct caller *callers[2];
  int n = 0, good;

  callers[HIREDIS] = calloc((size_t)threads * 2, sizeof(struct caller));
  callers[POOLMUX] = callers[HIREDIS] + threads;
  good = client && callers[HIREDIS];
  for (; good && n < threads * 2; n++)
    good = open_caller(&callers[HIREDIS][n], n, s, client) == 0;
  if (good && s->only)
    good = run_side(only, callers[only], threads, s->calls) >= 0;
  else if (good)
    good = run_rounds(s, threads, callers) == 0;
  if (client) {
    close_callers(callers[HIREDIS], n);
    pmx_unref(client);
  }
  free(callers[HIREDIS]);
  return good ? 0 : -1;
}

static int compare(const struct settings *s)
{
  char calls[NUMBER_SIZE];

  printf("poolmux %s (%s) and one hiredis context per thread: GET of %ld bytes\n"
         "at %s; %ld rounds of %s calls each, in turn: median, and the quarters\n\n"
         "%-11s %-9s %9s   %9s %9s   %9s %9s\n",
         pmx_version(), pmx_build_info(), s->size, s->url, s->rounds,
         count_text(calls, (double)s->calls), "", "", "calls/s", "1/4", "3/4", "p50", "p99");
  for (int i = 0; i < s->cases; i++) {
    if (with_callers(s, s->threads[i], POOLMUX) != 0)
      return -1;
  }
  return 0;
}

/* ---- options ---- */

static void usage(FILE *out)
{
  fputs("usage: poolmux-pool-bench [OPTION VALUE]...\n"
        "  --url URL          redis://HOST:PORT or unix:///PATH (default: $POOLMUX_URL, else\n"
        "                     redis://127.0.0.1:6379)\n"
        "  --threads N,N...   how many threads call, one case each (default: 1,8)\n"
        "  --calls N          calls of a round, all threads together (default: 4000)\n"
        "  --rounds N         rounds of each side (default: 25)\n"
        "  --size N           bytes of a value (default: 64)\n"
        "  --callers N        threads that share few connections (default: 500; 0 = not measured)\n"
        "  --connections N    those connections (default: 16)\n"
        "  --only SIDE        poolmux or hiredis: its calls of one round, no report\n"
        "No server is started: tests/with-server poolmux-pool-bench brings one.\n",
        out);
}

static int read_threads(struct settings *s, char *text)
{
  char *next = NULL;
  long n;

  s->cases = 0;
  for (char *word = strtok_r(text, ",", &next); word; word = strtok_r(NULL, ",", &next)) {
    if (s->cases == MAX_CASES || !parse_count(word, 1, MAX_THREADS, &n))
      return 0;
    s->threads[s->cases++] = (int)n;
  }
  return s->cases > 0;
}

static int read_option(struct settings *s, int option)
{
  switch (option) {
  case 'u':
    s->url = optarg;
    return 1;
  case 't':
    return read_threads(s, optarg);
  case 'c':
    return parse_count(optarg, 1, 1000000000, &s->calls);
  case 'r':
    return parse_count(optarg, 1, MAX_ROUNDS, &s->rounds);
  case 's':
    return parse_count(optarg, 0, 1 << 28, &s->size);
  case 'w':
    return parse_count(optarg, 0, 10000, &s->callers);
  case 'n':
    return parse_count(optarg, 1, 10000, &s->connections);
  case 'o':
    s->only = optarg;
    return strcmp(optarg, "poolmux") == 0 || strcmp(optarg, "hiredis") == 0;
  default:
    return 0;
  }
}

static int read_options(struct settings *s, int argc, char **argv)
{
  static const struct option options[] = {
      {"url", required_argument, NULL, 'u'},
      {"threads", required_argument, NULL, 't'},
      {"calls", required_argument, NULL, 'c'},
      {"rounds", required_argument, NULL, 'r'},
      {"size", required_argument, NULL, 's'},
      {"callers", required_argument, NULL, 'w'},
      {"connections", required_argument, NULL, 'n'},
      {"only", required_argument, NULL, 'o'},
      {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  int option, index = 0;

  while ((option = getopt_long(argc, argv, "h", options, &index)) != -1) {
    if (option == 'h') {
      usage(stdout);
      exit(EXIT_SUCCESS);
    }
    if (option != '?' && !read_option(s, option))
      fprintf(stderr, "--%s %s: not possible\n", options[index].name, optarg);
    else if (option != '?')
      continue;
    return 0;
  }
  return optind == argc;
}

int main(int argc, char **argv)
{
  struct settings s = {.url = getenv("POOLMUX_URL"),
                       .calls = 4000,
                       .rounds = 25,
                       .size = 64,
                       .callers = 500,
                       .connections = 16,
                       .cases = 2,
                       .threads = {1, 8}};
  int failed = 0;

  if (!s.url)
    s.url = "redis://127.0.0.1:6379";
  if (!read_options(&s, argc, argv)) {
    usage(stderr);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (s.only)
    return with_callers(&s, s.threads[0], s.only[0] == 'h' ? HIREDIS : POOLMUX) ? 1 : 0;
  failed = compare(&s);
  if (!failed && s.callers)
    failed = order_report(s.url, (int)s.callers, (int)s.connections, s.callers * 50);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

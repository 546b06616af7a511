/* SPDX-License-Identifier: BSD-3-Clause */
/* worker.c - a worker's command line, and whether its way can do the workload. */
#include "worker_parts.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum action { DO_LAP, DO_FILL, DO_CLEAN, DO_WAYS, DO_KEYS };
enum { LONGEST_S = 600 };

static const char *program = "worker";

void die(const char *format, ...)
{
  static atomic_flag dying = ATOMIC_FLAG_INIT;
  va_list ap;

  while (atomic_flag_test_and_set(&dying))
    pause(); /* another thread tells its reason, and ends us */
  fprintf(stderr, "%s: ", program);
  va_start(ap, format);
  vfprintf(stderr, format, ap);
  va_end(ap);
  fputc('\n', stderr);
  fflush(NULL);
  _exit(EXIT_FAILURE); /* others may still be calling */
}

int plan_readers(const struct plan *plan)
{
  return plan->callers + (int)plan->workload.blocked;
}

int plan_places(const struct plan *plan)
{
  return plan_readers(plan) + (int)plan->workload.big_readers;
}

/* ---- options ---- */

static void usage(FILE *out)
{
  fprintf(out,
          "usage: %s --way WAY --url URL [OPTION]... [--set KEY=VALUE]...\n"
          "measures one lap and prints it; poolmux-bench(1) does this for people\n"
          "  --url URL       (default: $POOLMUX_BENCH_URL, which ps does not show)\n"
          "  --control URL   the same server for those who look at it (default: that of --url,\n"
          "                  beside $POOLMUX_BENCH_URL $POOLMUX_BENCH_CONTROL)\n"
          "  --callers N     1 to %d (default: 1)\n"
          "  --seconds S     (default: 1)\n"
          "  --warmup S      before it, not measured (default: 0.2)\n"
          "  --calls N       exactly so many, instead of --seconds\n"
          "  --seed K        of the dice (default: 1)\n"
          "  --set KEY=VALUE one line of the workload\n"
          "instead of a lap:\n"
          "  --fill          writes the workload's keys\n"
          "  --clean         removes all keys that begin with its prefix\n"
          "  --ways          WAY<TAB>sentence<TAB>what it can, a line each\n"
          "  --keys          KEY<TAB>default<TAB>what is valid<TAB>meaning, a line each;\n"
          "                  fails when a --set is not valid\n",
          program, MAX_CALLERS);
}

static int read_seconds(const char *text, double low, double *ret)
{
  char *end;

  *ret = strtod(text, &end);
  return end != text && !*end && *ret >= low && *ret <= LONGEST_S;
}

static const struct way *find_way(const struct worker *worker, const char *name)
{
  char all[WHY_SIZE] = "";
  size_t len = 0;

  for (int i = 0; i < worker->n; i++) {
    if (strcmp(worker->ways[i].name, name) == 0)
      return &worker->ways[i];
    len +=
        (size_t)snprintf(all + len, sizeof all - len, "%s%s", i ? ", " : "", worker->ways[i].name);
  }
  die("--way %s: there is no such way; there are %s", name, all);
}

static int read_setting(struct plan *plan, const char *text)
{
  char why[WORKLOAD_WHY];

  if (workload_set(&plan->workload, text, why) == 0)
    return 1;
  fprintf(stderr, "%s: %s\n", program, why);
  exit(EXIT_FAILURE);
}

static int read_option(const struct worker *worker, struct plan *plan, int option)
{
  long n;

  switch (option) {
  case 'w':
    plan->way = find_way(worker, optarg);
    return 1;
  case 'u':
    plan->url = optarg;
    return 1;
  case 'C':
    plan->control = optarg;
    return 1;
  case 'n':
    if (!parse_count(optarg, 1, MAX_CALLERS, &n))
      return 0;
    plan->callers = (int)n;
    return 1;
  case 's':
    return read_seconds(optarg, 0.001, &plan->seconds);
  case 'W':
    return read_seconds(optarg, 0, &plan->warmup);
  case 'c':
    return parse_count(optarg, 1, LONG_MAX - 1, &plan->calls);
  case 'k':
    if (!parse_count(optarg, 0, LONG_MAX, &n))
      return 0;
    plan->seed = (uint64_t)n;
    return 1;
  case 'S':
    return read_setting(plan, optarg);
  default:
    return 0;
  }
}

static enum action read_options(const struct worker *worker, int argc, char **argv,
                                struct plan *plan)
{
  static const struct option options[] = {
      {"way", required_argument, NULL, 'w'},
      {"url", required_argument, NULL, 'u'},
      {"control", required_argument, NULL, 'C'},
      {"callers", required_argument, NULL, 'n'},
      {"seconds", required_argument, NULL, 's'},
      {"warmup", required_argument, NULL, 'W'},
      {"calls", required_argument, NULL, 'c'},
      {"seed", required_argument, NULL, 'k'},
      {"set", required_argument, NULL, 'S'},
      {"fill", no_argument, NULL, 'f'},
      {"clean", no_argument, NULL, 'l'},
      {"ways", no_argument, NULL, 'y'},
      {"keys", no_argument, NULL, 'K'},
      {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  enum action action = DO_LAP;
  int option, index = 0;

  while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
    if (option == 'h') {
      usage(stdout);
      exit(EXIT_SUCCESS);
    }
    if (option == 'f' || option == 'l' || option == 'y' || option == 'K') {
      action = option == 'f'   ? DO_FILL
               : option == 'l' ? DO_CLEAN
               : option == 'y' ? DO_WAYS
                               : DO_KEYS;
    } else if (option == '?' || !read_option(worker, plan, option)) {
      if (option != '?')
        fprintf(stderr, "%s: --%s %s: not possible\n", program, options[index].name, optarg);
      usage(stderr);
      exit(EXIT_FAILURE);
    }
  }
  if (optind != argc)
    die("%s: not an option", argv[optind]);
  return action;
}

/* ---- what a way can ---- */

static void cannot(const struct plan *plan, const char *what)
{
  fprintf(stderr, "%s %s: %s\n", program, plan->way->name, what);
  exit(EXIT_CANNOT);
}

/* What the workload wants, or else the way's own: the first one it names. */
static enum callers_as callers_of(const struct plan *plan)
{
  if (peer_has_word(plan->way->can, callers_as_name(plan->workload.callers_as)))
    return plan->workload.callers_as;
  for (int as = AS_THREADS; as <= AS_FUTURES; as++) {
    if (peer_has_word(plan->way->can, callers_as_name((enum callers_as)as)))
      return (enum callers_as)as;
  }
  return AS_THREADS;
}

/* What a URL says is done, or refused: neither another server nor other conditions are measured. */
static void check_options(const struct worker *worker, const struct plan *plan)
{
  char option[PEER_OPTION], why[WHY_SIZE];

  if (worker->options && peer_other_option(plan->url, worker->options, option))
    snprintf(why, sizeof why, "no %s in URLs", option);
  else if (peer_lost_option(plan->control, option))
    snprintf(why, sizeof why, "what looks at the server has no %s in URLs (--control)", option);
  else
    return;
  cannot(plan, why);
}

static void check_can(const struct plan *plan)
{
  const struct workload *w = &plan->workload;
  const char *why;
  const struct need {
    int needed;
    const char *word, *what;
  } needs[] = {
      {strncmp(plan->url, "unix", 4) == 0, "unix", "no Unix sockets"},
      {strncmp(plan->url, "rediss", 6) == 0 || strncmp(plan->url, "valkeys", 7) == 0, "tls",
       "no TLS"},
      {w->rate > 0, "open-loop", "no calls at a fixed rate"},
      {w->batch > 0, "batches", "no batches"},
      {w->transactions > 0, "transactions", "no transactions"},
      {w->blocked > 0, "blocking", "no blocked consumers"},
      {w->subscribers > 0, "pubsub", "no subscribers"},
  };

  for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
    if (needs[i].needed && !peer_has_word(plan->way->can, needs[i].word))
      cannot(plan, needs[i].what);
  }
  why = plan->way->cannot ? plan->way->cannot(plan) : NULL;
  if (why)
    cannot(plan, why);
}

/* ---- the whole ---- */

static struct wire *open_control(const struct plan *plan)
{
  char why[PEER_WHY], option[PEER_OPTION];
  struct wire *control;

  if (peer_lost_option(plan->control, option))
    die("no %s in URLs", option);
  control = wire_open(plan->control, why);
  if (!control)
    die("%s", why);
  return control;
}

/* The library refuses it; others would log in as nobody, and be another user. */
static void check_login(const char *url)
{
  struct peer_address address;

  if (peer_parse(url, &address) == 0 && address.user[0] && !address.password[0])
    die("the URL has a user, but no password");
}

static void act(const struct worker *worker, struct plan *plan, enum action action)
{
  struct wire *control;

  if (!plan->url) {
    plan->url = getenv("POOLMUX_BENCH_URL");
    plan->control = plan->control ? plan->control : getenv("POOLMUX_BENCH_CONTROL");
  }
  if (!plan->url)
    die("--url is missing");
  if (!plan->control)
    plan->control = plan->url;
  check_login(plan->url);
  check_login(plan->control);
  if (action == DO_LAP) {
    if (!plan->way)
      die("--way is missing");
    plan->callers_as = callers_of(plan);
    check_can(plan);
    check_options(worker, plan);
  }
  control = open_control(plan);
  if (action == DO_FILL)
    store_fill(plan, control);
  else if (action == DO_CLEAN)
    store_clean(plan, control);
  else
    lap_run(plan, control, worker);
  wire_close(control);
}

static int finish(void)
{
  if (fflush(stdout) != 0 || ferror(stdout))
    die("the result cannot be written: %s", strerror(errno));
  return EXIT_SUCCESS;
}

int worker_main(const struct worker *worker, int argc, char **argv)
{
  static struct plan plan = {
      .callers = 1, .seconds = 1, .warmup = 0.2, .calls = LONG_MAX, .seed = 1};
  char why[WORKLOAD_WHY];
  enum action action;

  program = worker->name;
  signal(SIGPIPE, SIG_IGN); /* a server or a reader that is gone is told, not died of */
  workload_init(&plan.workload);
  action = read_options(worker, argc, argv, &plan);
  for (int i = 0; action == DO_WAYS && i < worker->n; i++)
    printf("%s\t%s\t%s\n", worker->ways[i].name, worker->ways[i].what, worker->ways[i].can);
  if (action == DO_WAYS)
    return finish();
  if (workload_ready(&plan.workload, why) != 0)
    die("%s", why);
  if (action == DO_KEYS)
    workload_print_keys(stdout);
  else
    act(worker, &plan, action);
  workload_free(&plan.workload);
  return finish();
}

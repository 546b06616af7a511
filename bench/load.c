/* SPDX-License-Identifier: BSD-3-Clause */
/* load.c - poolmux-load: the library and its peers under the same load, in one run and in turn:
 * calls per second, their times, and what they cost both sides. Here are the options and the list
 * of contestants; load_parts.h says who does the rest. */
#include <poolmux/poolmux.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "load_parts.h"

enum { MAX_CASES = 16, MAX_CALLERS = 4096, MAX_CONTESTANTS = 24, URL_SIZE = 4096 };

static const struct contestant *const contestants[] = {
    &load_hiredis,      &load_pipeline,    &load_libevent, &load_pool,    &load_mux,
    &load_hybrid,       &load_spin,        &load_callback, &load_loop,    &load_wakes,
    &load_generator,    &load_hiredis_tls, &load_pool_tls, &load_mux_tls, &load_hybrid_tls,
    &load_callback_tls, &load_loop_tls,
};
enum { CONTESTANTS = sizeof contestants / sizeof *contestants };

struct settings {
  const char *url, *tls_url;
  int over_unix, tls;
  int cases, callers[MAX_CASES];
  size_t chosen;
  const struct contestant *contestants[MAX_CONTESTANTS + 1]; /* NULL at the end */
  long rounds, calls;
  double seconds;
};

/* ---- options ---- */

static void usage(FILE *out)
{
  fputs(
      "usage: poolmux-load [OPTION]...\n"
      "  --url URL          redis://HOST:PORT or unix:///PATH (default: $POOLMUX_URL, else a\n"
      "                     private server that is thrown away)\n"
      "  --unix             $POOLMUX_UNIX_URL instead: the private server's Unix socket\n"
      "  --tls-url URL      for TLS, rediss://HOST:PORT?tls.ca_file=FILE (default:\n"
      "                     $POOLMUX_TLS_URL with $POOLMUX_TLS_DIR/ca.crt; the private server's)\n"
      "  --tls              the contestants that use TLS, instead of the others\n"
      "  --callers N,N...   how many calls are made at a time, one table each (default:\n"
      "                     1,8,64,256)\n"
      "  --seconds N        how long one contestant calls in a round (default: 1)\n"
      "  --rounds N         rounds (default: 5)\n"
      "  --only NAME,...    some contestants\n"
      "  --calls N          so many calls of one contestant, and no report\n"
      "contestants, with N callers:\n",
      out);
  for (size_t i = 0; i < CONTESTANTS; i++)
    fprintf(out, "  %-18s %s%s\n", contestants[i]->name, contestants[i]->what,
            contestants[i]->aside ? "; only when named"
            : contestants[i]->tls ? "; --tls"
                                  : "");
}

/* The next word of a list "a,b"; 0 = that was all. */
static int next_word(const char **text, char word[NUMBER_SIZE])
{
  size_t len = strcspn(*text, ",");

  if (**text == '\0')
    return 0;
  snprintf(word, NUMBER_SIZE, "%.*s", (int)len, *text);
  *text += len + ((*text)[len] == ',');
  return 1;
}

static int read_callers(struct settings *s, const char *text)
{
  char word[NUMBER_SIZE];
  long n;

  s->cases = 0;
  while (next_word(&text, word)) {
    if (s->cases == MAX_CASES || !parse_count(word, 1, MAX_CALLERS, &n))
      return 0;
    s->callers[s->cases++] = (int)n;
  }
  return s->cases > 0;
}

static int choose(struct settings *s, const char *name)
{
  for (size_t i = 0; i < CONTESTANTS; i++) {
    if (strcmp(contestants[i]->name, name) == 0 && s->chosen < MAX_CONTESTANTS) {
      s->contestants[s->chosen++] = contestants[i];
      return 1;
    }
  }
  return 0;
}

static int read_only(struct settings *s, const char *text)
{
  char word[NUMBER_SIZE];

  s->chosen = 0;
  while (next_word(&text, word)) {
    if (!choose(s, word))
      return 0;
  }
  return s->chosen > 0;
}

static void choose_all(struct settings *s)
{
  for (size_t i = 0; i < CONTESTANTS; i++) {
    if (!contestants[i]->aside && contestants[i]->tls == s->tls)
      s->contestants[s->chosen++] = contestants[i];
  }
}

static int read_seconds(struct settings *s, const char *text)
{
  char *end;

  s->seconds = strtod(text, &end);
  return end != text && !*end && s->seconds >= 0.001 && s->seconds <= 3600;
}

static int read_option(struct settings *s, int option)
{
  switch (option) {
  case 'u':
    s->url = optarg;
    return 1;
  case 'x':
    s->over_unix = 1;
    return 1;
  case 't':
    s->tls_url = optarg;
    return 1;
  case 'T':
    s->tls = 1;
    return 1;
  case 'n':
    return read_callers(s, optarg);
  case 's':
    return read_seconds(s, optarg);
  case 'r':
    return parse_count(optarg, 1, MAX_ROUNDS, &s->rounds);
  case 'o':
    return read_only(s, optarg);
  case 'c':
    return parse_count(optarg, 1, 1000000000, &s->calls);
  default:
    return 0;
  }
}

/* 1, or 0 with a message. */
static int read_options(struct settings *s, int argc, char **argv)
{
  static const struct option options[] = {
      {"url", required_argument, NULL, 'u'},
      {"unix", no_argument, NULL, 'x'},
      {"tls-url", required_argument, NULL, 't'},
      {"tls", no_argument, NULL, 'T'},
      {"callers", required_argument, NULL, 'n'},
      {"seconds", required_argument, NULL, 's'},
      {"rounds", required_argument, NULL, 'r'},
      {"only", required_argument, NULL, 'o'},
      {"calls", required_argument, NULL, 'c'},
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
      fprintf(stderr, "--%s %s: not possible\n", options[index].name, optarg ? optarg : "");
    else if (option != '?')
      continue;
    return 0;
  }
  if (s->calls == LONG_MAX || (s->chosen == 1 && s->cases == 1))
    return optind == argc;
  fputs("--calls wants one contestant and one number of callers\n", stderr);
  return 0;
}

/* ---- the server ---- */

/* Starts this program once more, with a private server around it. Comes back only when it cannot.
 */
static void run_with_server(int argc, char **argv)
{
  static char script[] = WITH_SERVER, self[4096];
  char **again = calloc((size_t)argc + 2, sizeof *again);
  ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

  if (again && len > 0) {
    again[0] = script;
    again[1] = self;
    for (int i = 1; i < argc; i++)
      again[i + 1] = argv[i];
    execv(script, again);
  }
  perror(script);
  free(again);
}

/* NULL: there is no TLS. */
static const char *private_tls_url(void)
{
  static char url[URL_SIZE];
  const char *known = getenv("POOLMUX_TLS_URL"), *dir = getenv("POOLMUX_TLS_DIR");

  if (!known || !dir)
    return NULL;
  snprintf(url, sizeof url, "%s?tls.ca_file=%s/ca.crt", known, dir);
  return url;
}

static void allow_connections(void)
{
  struct rlimit limit;

  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

static redisContext *open_control(const char *url)
{
  char why[PEER_WHY];
  redisContext *control = peer_open(url, why);

  if (control && work_fill(control) == 0)
    return control;
  fprintf(stderr, "poolmux-load: %s: %s\n", url, control ? "the keys cannot be written" : why);
  if (control)
    redisFree(control);
  return NULL;
}

/* ---- the whole ---- */

static void print_headline(const struct settings *s, const struct rounds *r)
{
  printf("poolmux %s (%s) and its peers at %s\n"
         "SET and GET of %d bytes, half of each, over %d keys; %ld rounds of %g s each, in turn;\n"
         "%ld processors\n\n",
         pmx_version(), pmx_build_info(), r->url, WORK_VALUE_BYTES, WORK_KEYS, s->rounds,
         s->seconds, sysconf(_SC_NPROCESSORS_ONLN));
  rounds_legend();
}

static int run(struct settings *s)
{
  struct rounds r = {.url = s->url,
                     .tls_url = s->tls_url ? s->tls_url : private_tls_url(),
                     .contestants = s->contestants,
                     .rounds = s->rounds,
                     .calls = s->calls,
                     .seconds = s->seconds};
  int failed = 0;

  work_init();
  r.control = open_control(s->url);
  if (!r.control)
    return -1;
  if (s->calls != LONG_MAX) {
    failed = rounds_once(&r, s->callers[0]);
  } else {
    print_headline(s, &r);
    for (int i = 0; i < s->cases; i++)
      failed |= rounds_compare(&r, s->callers[i]);
  }
  work_clear(r.control);
  redisFree(r.control);
  return failed;
}

int main(int argc, char **argv)
{
  struct settings s = {
      .rounds = 5, .calls = LONG_MAX, .seconds = 1, .cases = 4, .callers = {1, 8, 64, 256}};

  if (!read_options(&s, argc, argv)) {
    usage(stderr);
    return 2;
  }
  if (!s.chosen)
    choose_all(&s);
  if (!s.url)
    s.url = getenv(s.over_unix ? "POOLMUX_UNIX_URL" : "POOLMUX_URL");
  if (!s.url) {
    run_with_server(argc, argv);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  allow_connections();
  return run(&s) ? EXIT_FAILURE : EXIT_SUCCESS;
}

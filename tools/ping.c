/* SPDX-License-Identifier: BSD-3-Clause */
/* ping.c - poolmux-ping: connects as an application would, and says what is there, or at which
 * stage it fails and what to change. */
#include "ping.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TRIPS_USUAL = 10, TRIPS_MAX = 10000000 };

static const char help[] =
    "usage: poolmux-ping [OPTION...] [URL]\n"
    "\n"
    "Connects to a Redis or Valkey server as libpoolmux does, and prints what the server and\n"
    "the connection are; or the stage that fails, why, and what to change.\n"
    "URL is redis://, rediss://, valkey://, valkeys:// or unix://, see poolmux-options(7);\n"
    "without one, $POOLMUX_URL. A password in the URL can be seen by ps for a moment.\n"
    "\n"
    "  -n, --count N             round trips to measure (10)\n" TOOL_HELP "\n"
    "Exit status: 0 it works; or the stage that failed: 2 options, 3 dns, 4 tcp, 5 tls, 6 login,\n"
    "7 select, 8 ping; 1 anything else.\n";

static const struct option long_options[] = {{"count", required_argument, NULL, 'n'}, TOOL_LONG};

static int number(const struct tool *t, const char *text)
{
  char *end;
  long n;

  errno = 0;
  n = strtol(text, &end, 10);
  if (errno || *end || end == text || n < 1 || n > TRIPS_MAX)
    tool_misused(t, "-n wants a number from 1 to %d, not \"%s\"", TRIPS_MAX, text);
  return (int)n;
}

static void parse(struct ping *p, int argc, char **argv)
{
  const char *url = getenv("POOLMUX_URL");
  int opt;

  p->trips.wanted = TRIPS_USUAL;
  while ((opt = getopt_long(argc, argv, TOOL_SHORT "n:", long_options, NULL)) != -1) {
    if (opt == 'n')
      p->trips.wanted = number(&p->tool, optarg);
    else
      tool_option(&p->tool, opt, optarg);
  }
  if (argc - optind > 1)
    tool_misused(&p->tool, "one URL, not %d of them", argc - optind);
  if (optind < argc)
    tool_url(&p->tool, argv[optind]);
  else if (url && *url)
    p->tool.url = strdup(url);
  else
    tool_misused(&p->tool, "no URL, and POOLMUX_URL is not set");
}

static int64_t now_ns(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

  return (x > y) - (x < y);
}

/* The first one counts as the others do, and is not sent again: what it meets is what is wanted. */
static void measure(struct ping *p)
{
  struct round_trips *r = &p->trips;
  pmx_call call = PMX_CALL_INIT;

  call.flags = PMX_CALL_NO_RETRY;
  call.cancel = p->token;
  while (r->done < r->wanted && !p->failed && !p->interrupted) {
    int64_t begun = now_ns();
    pmx_reply *reply = pmx_do(p->client, &call, "PING", (char *)NULL);

    if (pmx_ok(reply)) {
      r->ns[r->done++] = now_ns() - begun;
    } else if (pmx_reply_cause(reply) == PMX_CAUSE_CANCELED) {
      p->interrupted = 1;
    } else {
      p->failed = STAGE_PING;
      p->error = pmx_reply_ref(reply);
    }
    pmx_reply_free(reply);
  }
  qsort(r->ns, (size_t)r->done, sizeof *r->ns, compare);
}

/* With connect=lazy the first PING would meet what pmx_open is to meet, and no stage be known. What
 * is wrong in the value stays in the URL, to be complained about. */
static void make_eager(struct ping *p)
{
  static const char *const dropped[] = {"connect", NULL};
  char value[16], *url = tool_url_without(p->tool.url, dropped, "connect", value, sizeof value);

  if (!url)
    tool_failed(&p->tool, "out of memory");
  if (!*value || pmx_options_set(p->tool.options, "connect", value) == PMX_OK) {
    free(p->tool.url);
    p->tool.url = url;
  } else {
    free(url);
  }
  tool_set(&p->tool, "connect", "eager");
}

static void connect_and_look(struct ping *p)
{
  p->client = pmx_open(p->tool.url, p->tool.options, &p->error);
  if (!p->client) {
    p->failed = stage_of(p->error);
    return;
  }
  tool_arm(1);
  look_connected(p);
  measure(p);
  if (!p->interrupted)
    look_server(p);
  tool_arm(0);
}

int main(int argc, char **argv)
{
  static struct ping p;
  int status;

  tool_begin(&p.tool, "poolmux-ping", help);
  parse(&p, argc, argv);
  p.token = pmx_cancel_new();
  p.trips.ns = calloc((size_t)p.trips.wanted, sizeof *p.trips.ns);
  if (!p.token || !p.trips.ns || !p.tool.url)
    tool_failed(&p.tool, "out of memory");
  make_eager(&p);
  tool_watch_signals(p.token);
  look_prepare(&p);
  connect_and_look(&p);
  if (p.tool.json)
    print_json(&p);
  else
    print_people(&p);
  status = p.interrupted && !p.failed ? EXIT_INTERRUPTED : (int)p.failed;
  pmx_unref(p.client);
  pmx_cancel_free(p.token);
  pmx_reply_free(p.error);
  free(p.trips.ns);
  tool_end(&p.tool);
  if (fflush(stdout) != 0 || ferror(stdout))
    return EXIT_FAILED;
  return status;
}

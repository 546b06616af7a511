/* SPDX-License-Identifier: BSD-3-Clause */
/* scale.c - poolmux-scale: what a connection and a call under way take, on both sides, and how that
 * grows. The figures of docs/scaling.md are what this prints. It pauses its server, so it has one
 * of its own. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"
#include "peer.h"
#include "scale_parts.h"

enum { URL_SIZE = 4096 };

void scale_failed(const char *what, const char *why)
{
  fprintf(stderr, "poolmux-scale: %s: %s\n", what, why);
  exit(EXIT_FAILURE);
}

void scale_sleep_ms(long ms)
{
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};

  nanosleep(&t, NULL);
}

pmx_client *scale_open(const char *url, const char *options)
{
  char text[URL_SIZE];
  pmx_client *client;
  pmx_reply *err;

  snprintf(text, sizeof text, "%s%c%s&command_timeout=10min&connect_timeout=1min", url,
           strchr(url, '?') ? '&' : '?', options);
  client = pmx_open(text, NULL, &err);
  if (!client)
    scale_failed(options, pmx_reply_error(err));
  pmx_reply_free(err);
  return client;
}

/* ---- options ---- */

struct settings {
  long connections, calls;
  int pace; /* nothing else */
};

static int usage(FILE *out, int status)
{
  fputs("usage: poolmux-scale [OPTION]...\n"
        "  --connections N   as many connections at most (default: 8000)\n"
        "  --calls N         as many calls under way at most (default: 100000)\n"
        "  --quick           only what is the same in each run, and needs no waiting\n"
        "  --pace            only the times\n"
        "A private server is started, paused, and thrown away.\n",
        out);
  return status;
}

static int read_options(struct settings *s, struct scale *scale, int argc, char **argv)
{
  static const struct option options[] = {{"connections", required_argument, NULL, 'c'},
                                          {"calls", required_argument, NULL, 'n'},
                                          {"quick", no_argument, NULL, 'q'},
                                          {"pace", no_argument, NULL, 'p'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
  int option;

  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    if (option == 'h')
      exit(usage(stdout, EXIT_SUCCESS));
    if (option == 'q')
      scale->quick = 1;
    else if (option == 'p')
      s->pace = 1;
    else if (option == 'c' && parse_count(optarg, 1000, 60000, &s->connections))
      continue;
    else if (option == 'n' && parse_count(optarg, 1000, 1000000, &s->calls))
      continue;
    else
      return 0;
  }
  return optind == argc;
}

/* ---- the server ---- */

/* Comes back only when it cannot. */
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
    setenv("POOLMUX_SCALE", "1", 1);
    execv(script, again);
  }
  perror(script);
  free(again);
}

/* As many connections as descriptors can be had, here and in the server, which has the same limit.
 */
static long allow_connections(const struct scale *s)
{
  struct rlimit limit;
  char command[64];

  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  snprintf(command, sizeof command, "CONFIG SET maxclients %ld", (long)limit.rlim_cur - 100);
  server_does(s, command);
  return (long)limit.rlim_cur - 200;
}

static const char *tls_url(void)
{
  static char text[URL_SIZE];
  const char *url = getenv("POOLMUX_TLS_URL"), *dir = getenv("POOLMUX_TLS_DIR");

  if (!url || !dir)
    return NULL;
  snprintf(text, sizeof text, "%s?tls.ca_file=%s/ca.crt", url, dir);
  return text;
}

/* What the server allocates once for each command, and this process for each thread, is there. */
static void warm_up(const struct scale *s)
{
  pmx_client *client = scale_open(s->url, "strategy=pool");

  if (pmx_reply_finish(pmx_command(client, "SET poolmux:scale %064d", 0)) != PMX_OK ||
      pmx_reply_finish(pmx_command(client, "GET poolmux:scale")) != PMX_OK)
    scale_failed("warm_up", "no answer");
  pmx_unref(client);
  server_hold(s);
  server_go_on(s);
  (void)server_queries(s);
}

int main(int argc, char **argv)
{
  struct settings settings = {.connections = 8000, .calls = 100000};
  struct scale s = {.url = getenv("POOLMUX_URL"), .tls_url = tls_url()};
  char why[PEER_WHY];
  long possible;

  if (!read_options(&settings, &s, argc, argv))
    return usage(stderr, 2);
  if (!getenv("POOLMUX_SCALE") || !s.url) {
    run_with_server(argc, argv);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  s.control = peer_open(s.url, why);
  if (!s.control)
    scale_failed(s.url, why);
  possible = allow_connections(&s);
  if (settings.connections > possible)
    settings.connections = possible;
  warm_up(&s);
  if (!settings.pace) {
    scale_lane(&s);
    scale_flights(&s, settings.calls); /* before the connections: the server's peak is theirs */
    scale_connections(&s, settings.connections);
  }
  if (!s.quick)
    scale_pace(&s, settings.calls, 4 * settings.calls);
  redisFree(s.control);
  return 0;
}

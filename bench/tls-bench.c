/* SPDX-License-Identifier: BSD-3-Clause */
/* tls-bench.c - poolmux-tls-bench: what one more connection costs, plain, through TLS with a full
 * handshake, and with a session that is resumed. Uses the inside of the library, so that nothing
 * else is measured: connect, shake hands, PING, close; in turn, in one run.
 *
 * Started as: tests/with-server bench/poolmux-tls-bench [ROUNDS [CONNECTIONS]] */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/options.h"
#include "base/clock.h"
#include "measure.h"
#include "net/address.h"
#include "net/channel.h"
#include "net/tls_context_impl.h"
#include "peer.h"

enum { PATH_SIZE = 4096, MAX_ROUNDS = 1000, WAIT_S = 10 };

enum way { PLAIN, FULL, RESUMED, WAYS };
static const char *const names[WAYS] = {"plain", "TLS, full handshake", "TLS, resumed"};

struct bench {
  struct tls_context *context;
  struct address address[WAYS];
  redisContext *control; /* asks the server for its processor time */
  long rounds, connections;
  double client_us[WAYS][MAX_ROUNDS], server_us[WAYS][MAX_ROUNDS];
};

static void die(const char *what, const char *why)
{
  fprintf(stderr, "poolmux-tls-bench: %s: %s\n", what, why);
  exit(EXIT_FAILURE);
}

/* ---- one connection ---- */

static void wait_for(struct transport *t, unsigned events)
{
  if (!transport_wait(t, events, clock_ns() + WAIT_S * NS_PER_S))
    die("the server", "is silent");
}

static void shake_hands(struct channel *c, struct tls_context *context)
{
  unsigned want;
  char text[TLS_ERROR_SIZE];
  int result;

  if (channel_secure(c, context) != 0)
    die("TLS", "out of memory");
  while ((result = channel_handshake(c, &want)) == NET_AGAIN)
    wait_for(c->transport, want);
  if (result != 0)
    die("handshake", channel_why(c, 0, text, sizeof text));
}

static void ping(struct channel *c)
{
  static char buf[CHANNEL_BUFFER];
  const char *bytes;
  char text[TLS_ERROR_SIZE];
  ssize_t n;

  if (channel_send(c, "PING\r\n", 6) != 6)
    die("PING", channel_why(c, 1, text, sizeof text));
  while ((n = channel_recv(c, buf, &bytes)) == NET_AGAIN)
    wait_for(c->transport, NET_IN);
  if (n != 7 || memcmp(bytes, "+PONG\r\n", 7) != 0)
    die("PING", "a strange answer, or none");
}

static void connect_once(struct bench *b, struct transport *t, enum way way)
{
  struct net_options options = {0};
  struct channel c;
  char text[128];
  int err = transport_connect(t, &b->address[way], &options);

  channel_init(&c, t);
  while (err == 0 && (err = transport_connected(t)) == EINPROGRESS) {
    wait_for(t, NET_OUT);
    err = 0;
  }
  if (err)
    die("connecting", transport_error_text(err, text, sizeof text));
  if (way == FULL)
    tls_sessions_clear(&b->context->sessions);
  if (way != PLAIN)
    shake_hands(&c, b->context);
  ping(&c);
  channel_close(&c);
}

/* ---- measuring ---- */

static double own_us(void)
{
  struct timespec ts;

  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
  return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static double field(const char *text, const char *name)
{
  const char *found = text ? strstr(text, name) : NULL;

  return found ? strtod(found + strlen(name), NULL) : 0;
}

static double server_us(redisContext *control)
{
  redisReply *reply = redisCommand(control, "INFO cpu");
  double us;

  if (!reply)
    die("INFO", control->errstr);
  us = (field(reply->str, "used_cpu_sys:") + field(reply->str, "used_cpu_user:")) * 1e6;
  freeReplyObject(reply);
  return us;
}

/* The first round is not counted: it warms up. */
static void run_round(struct bench *b, struct transport *t, enum way way, long round)
{
  double server = server_us(b->control), own = own_us();

  for (long i = 0; i < b->connections; i++)
    connect_once(b, t, way);
  own = own_us() - own;
  server = server_us(b->control) - server;
  if (round >= 0) {
    b->client_us[way][round] = own / (double)b->connections;
    b->server_us[way][round] = server / (double)b->connections;
  }
}

static void run(struct bench *b)
{
  struct transport t;

  if (transport_init(&t) != 0)
    die("transport", "no descriptor");
  for (long round = -1; round < b->rounds; round++) {
    for (int way = 0; way < WAYS; way++)
      run_round(b, &t, (enum way)way, round);
  }
  transport_destroy(&t);
}

static void report(struct bench *b)
{
  struct spread client[WAYS], server[WAYS];
  long resumed = SSL_CTX_sess_hits(b->context->ssl_ctx);

  printf(
      "connect, shake hands, PING, close: processor time in microseconds, medians of %ld rounds\n"
      "of %ld connections each, in turn; ratio: to a full handshake\n\n%-22s %8s %7s %8s %7s\n",
      b->rounds, b->connections, "", "client", "ratio", "server", "ratio");
  for (int way = 0; way < WAYS; way++) {
    client[way] = spread_of(b->client_us[way], (size_t)b->rounds);
    server[way] = spread_of(b->server_us[way], (size_t)b->rounds);
  }
  for (int way = 0; way < WAYS; way++)
    printf("%-22s %8.1f %7.2f %8.1f %7.2f\n", names[way], client[way].median,
           client[way].median / client[FULL].median, server[way].median,
           server[way].median / server[FULL].median);
  printf("(%ld of %ld sessions were resumed)\n", resumed, (b->rounds + 1) * b->connections);
}

/* ---- setting up ---- */

static struct address address_of(const char *url)
{
  struct peer_address parts;
  struct lookup lookup = {.count = 0};
  struct endpoint endpoint = {.family = FAMILY_ANY};

  if (peer_parse(url, &parts) != 0)
    die(url, "not a URL with host and port");
  endpoint.host = parts.host;
  endpoint.port = (uint16_t)parts.port;
  if (!address_immediate(&lookup, &endpoint) || lookup.count == 0)
    die(url, "not an IP address");
  return lookup.addresses[0];
}

static void set(struct config *config, const char *name, const char *value)
{
  char error[TLS_ERROR_SIZE];

  if (config_set(config, name, value, 0, error, sizeof error) != 0)
    die(name, error);
}

static struct tls_context *make_context(const char *dir)
{
  char path[PATH_SIZE], error[TLS_ERROR_SIZE] = "out of memory";
  struct tls_context *context;
  struct config config;

  if (config_init(&config) != 0)
    die("options", error);
  snprintf(path, sizeof path, "%s/ca.crt", dir);
  set(&config, "tls", "yes");
  set(&config, "tls.ca_file", path);
  set(&config, "tls.server_name", "localhost");
  context = tls_context_new(&config, error, sizeof error);
  if (!context)
    die("TLS", error);
  config_clear(&config);
  return context;
}

int main(int argc, char **argv)
{
  static struct bench b = {.rounds = 25, .connections = 40};
  const char *url = getenv("POOLMUX_URL"), *tls_url = getenv("POOLMUX_TLS_URL");
  char why[PEER_WHY];

  if (argc > 3 || (argc > 1 && !parse_count(argv[1], 1, MAX_ROUNDS, &b.rounds)) ||
      (argc > 2 && !parse_count(argv[2], 1, 1000000, &b.connections)) || !url || !tls_url) {
    fputs("usage: tests/with-server bench/poolmux-tls-bench [ROUNDS [CONNECTIONS]]\n", stderr);
    return 2;
  }
  b.address[PLAIN] = address_of(url);
  b.address[FULL] = b.address[RESUMED] = address_of(tls_url);
  b.context = make_context(getenv("POOLMUX_TLS_DIR"));
  b.control = peer_open(url, why);
  if (!b.control)
    die(url, why);
  run(&b);
  report(&b);
  redisFree(b.control);
  tls_context_unref(b.context);
  return 0;
}

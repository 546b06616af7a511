/* SPDX-License-Identifier: BSD-3-Clause */
/* connect_wire.c - the library's own connections, opened by hand: address, transport, channel, TLS.
 * Commands and replies are hiredis', which costs next to nothing beside them. */
#include "connect_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/options.h"
#include "base/clock.h"
#include "net/address.h"
#include "net/channel.h"
#include "net/tls_context.h"
#include "net/tls_context_impl.h"

enum { WAIT_S = 10 };

struct dialer {
  struct tls_context *context; /* NULL: plain */
  enum session session;
  struct transport transport;
  struct address address;
  redisReader *reader;
  char *login; /* AUTH, ready to be sent; NULL: none is needed */
  size_t login_len;
};

static int fail(char *why, size_t size, const char *what, const char *reason)
{
  snprintf(why, size, "%s: %s", what, reason);
  return -1;
}

/* ---- one connection ---- */

static int wait_for(struct dialer *d, unsigned events, char *why, size_t size)
{
  if (transport_wait(&d->transport, events, clock_ns() + WAIT_S * NS_PER_S))
    return 0;
  return fail(why, size, "the server", "is silent");
}

static int establish(struct dialer *d, char *why, size_t size)
{
  struct net_options options = {0};
  char text[128];
  int err = transport_connect(&d->transport, &d->address, &options);

  while (err == 0 && (err = transport_connected(&d->transport)) == EINPROGRESS) {
    if (wait_for(d, NET_OUT, why, size) != 0)
      return -1;
    err = 0;
  }
  return err ? fail(why, size, "connect", transport_error_text(err, text, sizeof text)) : 0;
}

static int shake_hands(struct dialer *d, struct channel *c, char *why, size_t size)
{
  long before = SSL_CTX_sess_hits(d->context->ssl_ctx);
  char text[TLS_ERROR_SIZE];
  unsigned want;
  int result, resumed;

  if (d->session == SESSION_FORGOTTEN)
    tls_context_forget(d->context);
  if (channel_secure(c, d->context) != 0)
    return fail(why, size, "TLS", "out of memory");
  while ((result = channel_handshake(c, &want)) == NET_AGAIN) {
    if (wait_for(d, want, why, size) != 0)
      return -1;
  }
  if (result != 0)
    return fail(why, size, "handshake", channel_why(c, 0, text, sizeof text));
  resumed = SSL_CTX_sess_hits(d->context->ssl_ctx) > before;
  if (resumed == (d->session == SESSION_RESUMED))
    return 0;
  return fail(why, size, "handshake", resumed ? "a session was resumed" : "no session was resumed");
}

static int send_all(struct dialer *d, struct channel *c, const char *bytes, size_t len, char *why,
                    size_t size)
{
  char text[TLS_ERROR_SIZE];
  ssize_t n;

  while (len > 0 || channel_held(c)) {
    n = channel_send(c, bytes, len);
    if (n == NET_AGAIN && wait_for(d, NET_OUT, why, size) != 0)
      return -1;
    if (n == NET_ERROR)
      return fail(why, size, "send", channel_why(c, 1, text, sizeof text));
    if (n > 0) {
      bytes += n;
      len -= (size_t)n;
    }
  }
  return 0;
}

static redisReply *receive(struct dialer *d, struct channel *c, char *why, size_t size)
{
  char buf[CHANNEL_BUFFER], text[TLS_ERROR_SIZE];
  const char *bytes;
  void *reply = NULL;
  ssize_t n;

  while (redisReaderGetReply(d->reader, &reply) == REDIS_OK && !reply) {
    n = channel_recv(c, buf, &bytes);
    if (n == NET_AGAIN && wait_for(d, NET_IN, why, size) != 0)
      return NULL;
    if (n == NET_EOF || n == NET_ERROR) {
      fail(why, size, "receive", n == NET_EOF ? "closed" : channel_why(c, 0, text, sizeof text));
      return NULL;
    }
    if (n > 0)
      redisReaderFeed(d->reader, bytes, (size_t)n);
  }
  if (!reply)
    fail(why, size, "reply", d->reader->errstr);
  return reply;
}

/* The answer to AUTH. */
static int logged_in(struct dialer *d, struct channel *c, char *why, size_t size)
{
  redisReply *reply = d->login ? receive(d, c, why, size) : NULL;
  int good = !d->login || (reply && reply->type == REDIS_REPLY_STATUS);

  if (reply && !good)
    fail(why, size, "AUTH", reply->str ? reply->str : "a strange answer");
  if (reply)
    freeReplyObject(reply);
  return good;
}

static redisReply *exchange(struct dialer *d, const char *bytes, size_t len, char *why, size_t size)
{
  redisReply *reply = NULL;
  struct channel c;

  channel_init(&c, &d->transport);
  if (establish(d, why, size) == 0 && (!d->context || shake_hands(d, &c, why, size) == 0) &&
      send_all(d, &c, bytes, len, why, size) == 0 && logged_in(d, &c, why, size))
    reply = receive(d, &c, why, size);
  channel_close(&c);
  return reply;
}

/* AUTH goes with the command, in one write. */
redisReply *dialer_call(struct dialer *d, int argc, const char *const *argv, const size_t *len,
                        char *why, size_t size)
{
  const char **words = (const char **)argv; /* old hiredis forgot a const */
  redisReply *reply = NULL;
  char *command, *bytes;
  long long n = redisFormatCommandArgv(&command, argc, words, len);

  fail(why, size, "command", "out of memory");
  if (n < 0)
    return NULL;
  bytes = malloc(d->login_len + (size_t)n);
  if (bytes) {
    if (d->login)
      memcpy(bytes, d->login, d->login_len);
    memcpy(bytes + d->login_len, command, (size_t)n);
    reply = exchange(d, bytes, d->login_len + (size_t)n, why, size);
  }
  free(bytes);
  redisFreeCommand(command);
  return reply;
}

/* ---- where to, and with what ---- */

/* 0: it is a name. */
static int find_address(const struct config *config, struct lookup *ret)
{
  struct endpoint endpoint = {.family = FAMILY_ANY,
                              .host = config->host,
                              .socket = config->socket[0] ? config->socket : NULL,
                              .port = (uint16_t)config->port};

  *ret = (struct lookup){.error = "a name, which would have to be looked up"};
  return address_immediate(ret, &endpoint);
}

static int read_address(struct dialer *d, const struct config *config, char *why, size_t size)
{
  struct lookup lookup;

  find_address(config, &lookup);
  if (lookup.count == 0)
    return fail(why, size, "address", lookup.error);
  d->address = lookup.addresses[0];
  return 0;
}

/* A lookup, and another command, would be in the time of each call. */
static const char *not_done(const struct config *config)
{
  struct lookup lookup;

  if (!find_address(config, &lookup))
    return "no names of hosts in URLs, only IP addresses: nothing is looked up";
  return config->db != 0 ? "no databases in URLs" : NULL;
}

const char *dialer_cannot(const char *url)
{
  struct config config;
  const char *why = NULL;
  char error[512];

  if (config_init(&config) != 0)
    return NULL;
  if (config_set_url(&config, url, error, sizeof error) == 0)
    why = not_done(&config);
  config_clear(&config);
  return why;
}

static int make_login(struct dialer *d, const struct config *config, char *why, size_t size)
{
  const char *argv[] = {"AUTH", config->user, config->password};
  long long n;

  if (!config->password[0])
    return 0;
  if (!config->user[0])
    argv[1] = config->password;
  n = redisFormatCommandArgv(&d->login, config->user[0] ? 3 : 2, argv, NULL);
  if (n < 0)
    return fail(why, size, "login", "out of memory");
  d->login_len = (size_t)n;
  return 0;
}

static int prepare(struct dialer *d, const char *url, char *why, size_t size)
{
  struct config config;
  int result;

  if (config_init(&config) != 0)
    return fail(why, size, "options", "out of memory");
  result = config_set_url(&config, url, why, size);
  if (result == 0)
    result = read_address(d, &config, why, size);
  if (result == 0)
    result = make_login(d, &config, why, size);
  if (result == 0 && config.tls) {
    d->context = tls_context_new(&config, why, size);
    result = d->context ? 0 : -1;
  }
  config_clear(&config);
  return result;
}

/* The first one leaves a session. */
static int introduce(struct dialer *d, enum session session, char *why, size_t size)
{
  const char *argv[] = {"PING"};
  const size_t len[] = {4};
  redisReply *reply;

  d->session = SESSION_FORGOTTEN;
  reply = dialer_call(d, 1, argv, len, why, size);
  d->session = session;
  if (reply)
    freeReplyObject(reply);
  return reply ? 0 : -1;
}

struct dialer *dialer_new(const char *url, enum session session, char *why, size_t size)
{
  struct dialer *d = calloc(1, sizeof *d);

  fail(why, size, "connections", "out of memory, or no descriptor");
  if (!d)
    return NULL;
  if (transport_init(&d->transport) != 0) {
    free(d);
    return NULL;
  }
  d->reader = redisReaderCreate();
  if (d->reader && prepare(d, url, why, size) == 0 && introduce(d, session, why, size) == 0)
    return d;
  dialer_free(d);
  return NULL;
}

void dialer_free(struct dialer *d)
{
  if (!d)
    return;
  transport_destroy(&d->transport);
  tls_context_unref(d->context);
  if (d->reader)
    redisReaderFree(d->reader);
  if (d->login)
    redisFreeCommand(d->login);
  free(d);
}

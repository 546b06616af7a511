/* SPDX-License-Identifier: BSD-3-Clause */
/* raw.h - the simplest blocking client there can be, to try servers, fakes and proxies with. It
 * retries, guesses and hides nothing. Knows nothing of the library. */
#ifndef HARNESS_RAW_H
#define HARNESS_RAW_H
#include <stdarg.h>

#include "sock.h"
#include "wire.h"

struct tls_end;

struct raw {
  int fd;
  struct tls_end *tls; /* NULL: plain */
  struct wire_buf in; /* read and not yet taken */
};

enum raw_state { RAW_OPEN, RAW_ENDED, RAW_RESET };

/* redis[s]://127.0.0.1:PORT, unix:///PATH[?tls=yes]; NULL and errno. TLS as with raw_tls zero. */
struct raw *raw_open(const char *url);
struct raw *raw_open_at(const struct sock_address *, int timeout_ms);
/* Zero: trusts certs_default() for 127.0.0.1, shows no certificate. Files; borrowed. */
struct raw_tls {
  const char *ca, *cert, *key;
  const char *host; /* a name, asked for and verified, instead of the address */
  int max_version;  /* TLS1_2_VERSION …; 0 = any from 1.2 */
  char *ret_why;    /* of RAW_WHY_SIZE: why it came to nothing; may be NULL */
};
enum { RAW_WHY_SIZE = 200 };
/* NULL: no connection, or errno EPROTO: the handshake failed. */
struct raw *raw_open_tls(const char *url, const struct raw_tls *, int timeout_ms);
bool raw_was_told(const struct raw *); /* the other side said close_notify */
bool raw_key_update(struct raw *); /* and asks for one in return */
void raw_close(struct raw *); /* frees it, says no close_notify; NULL is ignored */
bool raw_send(struct raw *, const void *bytes, size_t len); /* all of it, or false */
/* For a thread, with a struct raw_flood: sends the beginning of a command without end until that
 * fails; err is EPIPE after the other side's FIN. Plain only; another thread may read meanwhile. */
struct raw_flood {
  struct raw *raw;
  int err;
};
void raw_flood(void *arg);
/* C strings, then NULL; sends and does not read. */
bool raw_command(struct raw *, const char *arg0, ...) __attribute__((sentinel));
/* The next reply as text (see wire_flatten; free it), or NULL: none in time, or the end. */
char *raw_reply(struct raw *, int timeout_ms);
/* raw_command and raw_reply with a bound of 10 s. */
char *raw_ask(struct raw *, const char *arg0, ...) __attribute__((sentinel));
/* Reads until there are n bytes not yet taken, the end, or the time is up: how many there are. */
size_t raw_fill(struct raw *, size_t n, int timeout_ms);
/* What the other side did: waits for the end of the stream at most timeout_ms, keeps the bytes. */
enum raw_state raw_wait_end(struct raw *, int timeout_ms);

#endif

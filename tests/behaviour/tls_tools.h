/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_tools.h - what the tests of TLS share: a server with a certificate of its own and a client
 * that trusts whom the test says, opens that must fail, and a password that nobody may see. Sees
 * the public header only. */
#ifndef BEHAVIOUR_TLS_TOOLS_H
#define BEHAVIOUR_TLS_TOOLS_H
#include <check.h>
#include <openssl/ssl.h>
#include <stdatomic.h>

#include "behaviour/behaviour.h"
#include "harness/certs.h"
#include "harness/fake_tls.h"

/* The password of every client here. No text that the library makes may have it in it. */
#define CANARY "canary-f00dface-never-shown"

/* What one test is about. Texts of `server` are borrowed from `certs`. */
struct stage {
  const char *strategy;
  struct certs *certs;
  const struct cert *ca;  /* the client trusts it, unless the test says otherwise */
  struct fake_tls server; /* of the fake; cert, key, ca also of a real one */
  const struct fake_step *script;
  enum fake_accept accept;
  int connect_ms; /* the time in which an open is refused: only silence takes all of it */
  pmx_options *options;
};
void stage_open(struct stage *, const char *strategy);
/* Of strategies[i]; the server has a good certificate, and is asked for by STAGE_NAME. */
#define STAGE_NAME "redis.test"
void stage_open_named(struct stage *, int i);
void stage_close(struct stage *);
/* The same behind its other side, which must have ended well. */
void stage_close_server(struct stage *, struct server *);
void stage_close_fake(struct stage *, struct fake *);
/* The server presents this one, with its chain. */
void stage_present(struct stage *, const struct cert *);
struct fake *stage_fake(struct stage *, enum over, fake_handler, void *ud);
struct server *stage_server(struct stage *, const char *tls_clients);
/* With its options, which stay as they are. */
pmx_client *stage_connect(struct stage *, const char *url);
/* Must fail, in the time of one connect: the failure, which is the caller's. */
pmx_reply *stage_refused(struct stage *, const char *url);

void set_option(pmx_options *, const char *name, const char *value); /* must be taken */
/* The text of a failure has all of these in it, until NULL, and not the password. */
void check_says_all(const pmx_reply *, const char *const *parts);
/* stage_refused() with such a text and this cause; nothing has run. */
void check_stage_refused(struct stage *, const char *url, const char *const *parts, pmx_cause);

/* A log that counts, and fails the test when it shows the password. */
struct log_seen {
  atomic_int lines, warnings; /* warnings: of the component "tls" */
  atomic_int leaks;
  char last_warning[512]; /* written before it is counted */
};
void watch_log(pmx_options *, struct log_seen *);

/* ---- streams: the usual certificates ---- */
enum { STREAM_LONG = 200 };
/* As answer_values; GET long: so many bytes, INCR never: nothing, SUBSCRIBE is confirmed. */
struct fake *stream_fake(const struct fake_tls *);
/* Of strategies[i], with a pool of one connection, and nothing is sent twice. */
pmx_client *stream_open(int i, const char *url);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* secretive.h - what the tests of secrets share: a client with a user name and a password whose
 * log, events, trace, errors and statistics are all looked at, and servers that would give them
 * away. */
#ifndef SECRETIVE_H
#define SECRETIVE_H
#include <stdatomic.h>

#include "behaviour/behaviour.h"

/* In every secret; no text may show a part of it. */
#define MARK "f00dface"
#define USER "somebody" /* no secret: a login that is refused names it */
#define PASSWORD "password-" MARK
#define PHRASE "phrase-" MARK
#define ARGUMENT "argument-" MARK

void look_at(const char *what, const char *text); /* fails the test when it shows a secret */
/* Of what we say ourselves; the rest is the server's. */
void look(const pmx_reply *);
void looked(pmx_reply *); /* the same; frees it */

extern _Atomic int lines_seen, events_seen;
/* Of strategies[i], with user and password, and all that a client can tell switched on. */
pmx_options *secret_options(int i);
/* Frees the options. NULL when it could not be opened, and nothing was shown. */
pmx_client *open_secret(const char *url, pmx_options *);
void close_secret(pmx_client *); /* after a look at its statistics */

/* ---- servers ---- */
enum manner { REPEATS, GARBAGE, REFUSES_US, SILENT, CLOSES, LOADS, SAYS_OK, MANNERS };
struct bad {
  enum manner manner;
  const char *from; /* the command that it is so with; NULL: all after the login */
};
struct fake *bad_server(struct bad *);
int refuse(struct fake_conn *, const char *command); /* with more than that, as servers do */

#endif

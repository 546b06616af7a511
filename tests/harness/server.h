/* SPDX-License-Identifier: BSD-3-Clause */
/* server.h - private real servers: children of the test on loopback ports and Unix sockets of their
 * own, in a directory of their own. Never touches another server. Knows nothing of the library.
 *
 * server_start, _restart, _kill and _stop belong to one thread at a time, and to the process that
 * started; everything else may be used by any thread and in a forked child. */
#ifndef HARNESS_SERVER_H
#define HARNESS_SERVER_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "over.h"

struct server;

enum server_address {
  SERVER_TCP = 1,
  SERVER_UNIX = 2, /* always there: the harness itself asks over it */
  SERVER_TLS = 4   /* with the certificate of certs_default(), or the tls_ files */
};

struct server_options {
  unsigned listen;      /* SERVER_* or-ed; 0 = all of them */
  const char *program;  /* instead of the one found */
  const char *user;     /* who the harness logs in as; with an aclfile */
  const char *password; /* without a user it is also set as requirepass */
  const char *tls_cert, *tls_key; /* files; NULL: the usual ones */
  const char *tls_ca;             /* who signs clients' certificates; NULL: the usual one */
  const char *tls_clients; /* whether they must have one: "no" (NULL), "optional", "yes" */
  const char *const *config; /* "--maxclients", "10", NULL: further arguments */
};

/* ---- which server ---- */
/* $POOLMUX_SERVER alone if set, else valkey-server, redis-server, redis-check-rdb (which is the
 * whole server under another name) on PATH, or /usr/bin/redis-check-rdb. */
bool server_available(void);
void server_require(const char *test);    /* no server: says so loudly and exits with EXIT_SKIP */
const char *server_program_version(void); /* "Redis 7.0.15"; "" = no server; static */
int server_program_major(void);           /* 7; 0 = no server */
void server_list_versions(FILE *);        /* all servers of this machine, one a line */

/* ---- life ---- */
/* Ready for commands when it returns. NULL: it did not start; stderr says why. Options may be NULL.
 */
struct server *server_start(const struct server_options *);
bool server_stop(struct server *);    /* frees it; false: SIGTERM was not enough. NULL is ignored */
void server_kill(struct server *);    /* SIGKILL; server_restart brings it back, without its data */
bool server_restart(struct server *); /* at the same addresses; kills it when it runs */
void server_pause(struct server *);   /* SIGSTOP: connects and sends work, replies do not come */
void server_resume(struct server *);
bool server_running(const struct server *); /* a paused one runs */

const char *server_url(const struct server *,
                       enum server_address);    /* redis://127.0.0.1:PORT,
               unix:///PATH, rediss://127.0.0.1:PORT; NULL: not listening there */
const char *server_url_over(const struct server *, enum over);
uint16_t server_port(const struct server *);    /* 0 = none */
const char *server_path(const struct server *); /* of the Unix socket */
const char *server_dir(const struct server *);
pid_t server_pid(const struct server *); /* 0 while it does not run */

/* ---- asking it, over one connection of the harness's own named poolmux-harness ---- */
/* Arguments are C strings, then NULL. The reply as text: leaves one per line, errors begin with
 * '-', null is "(nil)"; free() it. NULL: no answer in 10 s, or no connection. */
char *server_command(struct server *, const char *arg0, ...) __attribute__((sentinel));
#define SERVER_NO_INTEGER INT64_MIN
/* An integer reply or a number as text, else SERVER_NO_INTEGER. */
int64_t server_integer(struct server *, const char *arg0, ...) __attribute__((sentinel));
int64_t server_info(struct server *, const char *field); /* of INFO; else SERVER_NO_INTEGER */
/* The next three leave out the harness. Of the last two, which count from the server's start, only
 * the difference between two values says something; commands the server refused do not count. */
int64_t server_clients(struct server *);     /* connected now */
int64_t server_connections(struct server *); /* accepted */
int64_t server_commands(struct server *);    /* processed */
/* Kills all normal and subscribed connections but the asking one; how many. */
int64_t server_kill_clients(struct server *);

#endif

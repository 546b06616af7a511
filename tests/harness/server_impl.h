/* SPDX-License-Identifier: BSD-3-Clause */
/* server_impl.h - what the three files of the server starter share. Not for tests. */
#ifndef HARNESS_SERVER_IMPL_H
#define HARNESS_SERVER_IMPL_H
#include <limits.h>
#include <pthread.h>

#include "process.h"
#include "raw.h"
#include "server.h"
#include "sock.h"
#include "util.h"
#include "wire.h"

struct server_program {
  char path[PATH_MAX];
  char argv0[PATH_MAX]; /* decides which program a multi-call binary is */
  char version[64];     /* "Redis 7.0.15" */
  int major;
};
bool program_default(struct server_program *ret);
bool program_named(struct server_program *ret, const char *name);

/* The connection the harness asks over. */
struct admin {
  pthread_mutex_t mutex;
  struct raw *raw;               /* NULL = none */
  bool refused;                  /* the server did not accept our login */
  pid_t opened_by;               /* a forked child must not share it */
  int64_t connections, commands; /* since the server's start */
};

struct server {
  struct server_options options;
  struct server_program program;
  struct process process;
  struct admin admin;
  char dir[TEMP_DIR_SIZE];
  char log[TEMP_DIR_SIZE + 16];
  char path[TEMP_DIR_SIZE + 16]; /* of the Unix socket: always there, for the harness itself */
  uint16_t port, tls_port;
  char url[3][SOCK_URL_SIZE];
};

void admin_init(struct server *);
void admin_close(struct server *); /* and starts counting from 0 */
void admin_destroy(struct server *);
/* 1 = it answers; 0 = not yet; -1 = it does not let us in. */
int admin_ready(struct server *);

#endif

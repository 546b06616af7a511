/* SPDX-License-Identifier: BSD-3-Clause */
/* ping.h - inside poolmux-ping: what was found out, and who says it. */
#ifndef TOOLS_PING_H
#define TOOLS_PING_H
#include "common.h"

#include <stdint.h>

/* In the order in which a connection comes about; the exit statuses of poolmux-ping(1). */
enum stage {
  STAGE_NONE = EXIT_OK,
  STAGE_OTHER = EXIT_FAILED, /* memory, descriptors, an interrupt */
  STAGE_OPTIONS = EXIT_USAGE,
  STAGE_DNS = 3,
  STAGE_TCP = 4,
  STAGE_TLS = 5,
  STAGE_LOGIN = 6,
  STAGE_SELECT = 7,
  STAGE_PING = 8
};

enum { WORD_SIZE = 256, ABOUT_SIZE = 1024 };

/* What the server says about itself; "" where it does not. */
struct server_facts {
  char kind[16], version[WORD_SIZE], mode[WORD_SIZE], role[WORD_SIZE], link[WORD_SIZE];
  char uptime[WORD_SIZE], clients[WORD_SIZE], max_clients[WORD_SIZE];
  char loading[WORD_SIZE], loaded[WORD_SIZE], eta[WORD_SIZE];
  char user[WORD_SIZE], db[WORD_SIZE], id[WORD_SIZE];
  char refused[WORD_SIZE], unanswered[WORD_SIZE]; /* why nothing is known by INFO */
};

struct round_trips {
  int64_t *ns; /* sorted at the end */
  int wanted, done;
};

struct ping {
  struct tool tool;
  pmx_client *client;
  pmx_cancel *token;
  char about[ABOUT_SIZE];       /* the detail of PMX_EVENT_CONNECTED */
  char endpoint[WORD_SIZE];     /* of the same */
  char certificate[ABOUT_SIZE]; /* what the log says of one that was refused */
  struct server_facts server;
  struct round_trips trips;
  enum stage failed;
  pmx_reply *error;
  int interrupted;
};

/* ping_look.c */
void look_prepare(struct ping *); /* before pmx_open */
void look_connected(struct ping *);
void look_server(struct ping *); /* INFO, CLIENT INFO */
/* The value of name= in words as those of PMX_EVENT_CONNECTED, without quotes; "" = none. */
const char *word_of(const char *words, const char *name, char buf[WORD_SIZE]);

/* ping_diagnose.c */
enum stage stage_of(const pmx_reply *error);
const char *stage_name(enum stage);
const char *advice_for(enum stage, const pmx_reply *error);

/* ping_print.c */
void print_people(const struct ping *);
void print_json(const struct ping *);

#endif

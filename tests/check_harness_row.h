/* SPDX-License-Identifier: BSD-3-Clause */
/* check_harness_row.h - a raw client, the proxy and an echoing fake server in a row: for the tests
 * of the proxy. */
#ifndef CHECK_HARNESS_ROW_H
#define CHECK_HARNESS_ROW_H
#include "harness/checks.h"
#include "harness/fake.h"
#include "harness/proxy.h"
#include "harness/raw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SOON = 5000 };

/* ECHO x -> x as a bulk; everything else by the fake itself. */
static inline int echo(void *ud, struct fake_conn *c, int argc, char **argv, size_t *len)
{
  (void)ud;
  if (strcmp(argv[0], "ECHO") != 0 || argc != 2)
    return 1;
  fake_reply_bulk(c, argv[1], len[1]);
  return 0;
}

/* A client, a proxy and a server in a row. */
struct row {
  struct fake *fake;
  struct proxy *proxy;
  struct raw *raw;
};

static inline struct raw *dial(struct row *row)
{
  struct raw *r = raw_open(proxy_url(row->proxy));

  ck_assert_msg(r != NULL, "%s: %s", proxy_url(row->proxy), strerror(errno));
  return r;
}

static inline struct row row_open(bool unix_sockets)
{
  enum over over = unix_sockets ? OVER_UNIX : OVER_TCP;
  struct row row;

  row.fake = fake_start(&(struct fake_options){.handler = echo, .over = over});
  row.proxy = proxy_start(fake_url(row.fake), &(struct proxy_options){.over = over, .seed = 1});
  row.raw = dial(&row);
  check_text(raw_ask(row.raw, "ECHO", "first", NULL), "first");
  return row;
}

static inline void row_close(struct row *row)
{
  raw_close(row->raw);
  proxy_stop(row->proxy);
  ck_assert(fake_stop(row->fake));
}

#endif

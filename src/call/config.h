/* SPDX-License-Identifier: BSD-3-Clause */
/* config.h - the typed values of all options: one field for each row of options.def. */
#ifndef PMX_CALL_CONFIG_H
#define PMX_CALL_CONFIG_H
#include <poolmux/poolmux.h>
#include <stdint.h>

#define CONFIG_FIELD_BOOL(field) int64_t field;
#define CONFIG_FIELD_INT(field) int64_t field;
#define CONFIG_FIELD_DURATION(field) int64_t field; /* ns */
#define CONFIG_FIELD_SIZE(field) int64_t field;     /* bytes */
#define CONFIG_FIELD_ENUM(field) int64_t field;
#define CONFIG_FIELD_STRING(field) char *field; /* never NULL */
#define CONFIG_FIELD_SECRET(field) char *field; /* never NULL; wiped when freed */

/* The name of the connection that ends waits at the server, where pools have pool.name. */
#define CONTROL_NAME "control"

struct config {
#define OPTION(field, name, kind, def, min, max, names, live, help) CONFIG_FIELD_##kind(field)
#include "call/options.def"
#undef OPTION
  pmx_credentials_fn credentials; /* or NULL */
  void *credentials_ud;
  pmx_passphrase_fn passphrase; /* or NULL */
  void *passphrase_ud;
  pmx_log_fn log;
  pmx_log_level log_max;
  void *log_ud;
  pmx_event_fn event;
  void *event_ud;
  pmx_trace trace;
  void *trace_ud;
};

/* Values of ENUM options, in the order of their names. */
enum { CONNECT_EAGER, CONNECT_LAZY };
enum { OFFLINE_WAIT, OFFLINE_FAIL };
enum { IO_THREAD, IO_LOOP };
enum { FULL_WAIT, FULL_FAIL };
enum { YIELD_OFF, YIELD_AUTO };
enum { PROTOCOL_AUTO, PROTOCOL_RESP2, PROTOCOL_RESP3 };
enum { ORDER_LIFO, ORDER_FIFO };
enum { PREFILL_NONE, PREFILL_ASYNC, PREFILL_SYNC };
enum { CHECK_NONE, CHECK_PEEK, CHECK_PING };
enum { TLS_1_2, TLS_1_3 };
enum { LEARN_OFF, LEARN_OBSERVE, LEARN_ON };
enum { RESET_TRACKED, RESET_CLOSE, RESET_ALWAYS };

int config_copy(struct config *to, const struct config *from); /* 0, or -1: out of memory */
void config_clear(struct config *);                            /* frees and wipes */

#endif

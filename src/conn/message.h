/* SPDX-License-Identifier: BSD-3-Clause */
/* message.h - what a reply is that comes on a subscription connection. There the server speaks
 * without being asked, in RESP3 with pushes, in RESP2 with arrays that look the same; so every
 * array is told by its first word, and one that is not known is nobody's answer. */
#ifndef PMX_CONN_MESSAGE_H
#define PMX_CONN_MESSAGE_H
#include <poolmux/poolmux.h>
#include <stddef.h>

enum message_what {
  MESSAGE_DATA,         /* for whoever has subscribed to `name` */
  MESSAGE_SUBSCRIBED,   /* to `name` */
  MESSAGE_UNSUBSCRIBED, /* from `name`; perhaps nobody asked for it */
  MESSAGE_PONG,
  MESSAGE_ERROR,
  MESSAGE_OTHER, /* of a kind that is not known here */
  MESSAGE_BAD    /* no message at all: nothing is ever asked that is answered so */
};

struct message {
  enum message_what what;
  pmx_sub_kind kind;
  const char *name; /* channel or pattern; borrowed from the reply; NULL: the server named none */
  size_t len;
};

void message_read(const pmx_reply *, struct message *ret);
/* Fills in the public picture of a MESSAGE_DATA; the rest of *ret as it was. */
void message_describe(const pmx_reply *, pmx_sub_kind, pmx_message *ret);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* dial_tell.h - for dial.c: its words. Thread: reactor. */
#ifndef PMX_LINK_DIAL_TELL_H
#define PMX_LINK_DIAL_TELL_H
#include "link/link.h"

void dial_describe(struct link *);           /* what the connection is, that is ready */
const char *dial_guess(const struct link *); /* what may be behind a login that came to nothing */
/* An address did not do; the text is kept unless that of another one tells more. */
void dial_note_error(struct link *, const struct address *, int err);
void dial_note_text(struct link *, const char *error);
void dial_tell_connecting(struct link *);
void dial_tell_connected(struct link *, const char *next);
void dial_log_certificate(struct link *, const char *where);

#endif

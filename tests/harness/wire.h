/* SPDX-License-Identifier: BSD-3-Clause */
/* wire.h - as much RESP as the harness needs, written independently of the library so that one
 * mistake is not made twice: commands (arrays of bulks) both ways, the end of a reply of RESP2 and
 * RESP3, a reply as text. No sockets. */
#ifndef HARNESS_WIRE_H
#define HARNESS_WIRE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Growing bytes. */
struct wire_buf {
  char *data;
  size_t len, cap;
};
void wire_buf_add(struct wire_buf *, const void *bytes, size_t len);
void wire_buf_take(struct wire_buf *, size_t len); /* drops the first len bytes */
void wire_buf_free(struct wire_buf *);

/* Looks for the end of the element at the start of some bytes that grow between calls. */
struct wire_scan {
  size_t pos;    /* bytes understood; when complete: the element's size */
  uint64_t owed; /* inner: elements still to come */
  bool begun;
};
enum wire_result { WIRE_BROKEN = -1, WIRE_MORE = 0, WIRE_DONE = 1 };
/* After WIRE_DONE: zero the scan for the next element. An attribute belongs to what it precedes. */
enum wire_result wire_scan(struct wire_scan *, const char *data, size_t len);

struct wire_command {
  int argc;
  char **argv; /* each NUL-terminated as well */
  size_t *len;
};
/* The complete command of `size` bytes that wire_scan found; false: not an array of bulks. */
bool wire_command_read(struct wire_command *, const char *data, size_t size);
void wire_command_free(struct wire_command *);
bool wire_arg_is(const char *arg, size_t len, const char *word); /* ignoring case */

void wire_command_add(struct wire_buf *, int argc, const char *const *argv);
void wire_bulk_add(struct wire_buf *, const void *bytes, size_t len);

/* A complete reply as text: the leaves one per line, an error with its '-', a null as "(nil)". */
char *wire_flatten(const char *data, size_t size); /* free() it */

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* args.h - how encode.c and format.c fill struct args. Private to resp/. */
#ifndef PMX_RESP_ARGS_H
#define PMX_RESP_ARGS_H
#include "resp/encode.h"

#define ARG_BYTES_MAX ((size_t)INT32_MAX) /* what any server takes is below */

/* One argument more; 0, or -1: out of memory. bytes NULL: the next `len` bytes of args->text, whose
 * place is known when args_seal() is called. */
int args_push(struct args *, const char *bytes, size_t len);
int args_text_add(struct args *, const char *bytes, size_t len); /* 0, or -1: out of memory */
void args_seal(struct args *);
pmx_reply *args_no_memory(void);

#endif

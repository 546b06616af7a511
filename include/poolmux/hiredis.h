/* SPDX-License-Identifier: BSD-3-Clause */
/* hiredis.h - for programs that move from hiredis to poolmux: replies of poolmux as redisReply. The
 * library is libpoolmux-hiredis; poolmux itself shows no type of hiredis. Manual:
 * poolmux-hiredis(7). Any thread may call these functions, also inside callbacks. None of them
 * waits. */
#ifndef POOLMUX_HIREDIS_H
#define POOLMUX_HIREDIS_H
#include <hiredis/hiredis.h>
#include <poolmux/poolmux.h>
#ifdef __cplusplus
extern "C" {
#endif

/* A copy, independent of its argument; free: freeReplyObject. NULL, as from redisCommand, when it
 * is a failure made by poolmux, or NULL; also when out of memory, or when pmx_hiredis_mismatch says
 * why. A failure inside an array is a REDIS_REPLY_ERROR, "POOLMUX UNKNOWN/LOST …". */
PMX_API redisReply *pmx_hiredis_reply(const pmx_reply *) PMX_MUST_USE;
/* The same for what a call returned, which it owns from now on. *rest, when rest is not NULL, is
 * always written: NULL, or the reply itself, the caller's again, when there is no redisReply. */
PMX_API redisReply *pmx_hiredis_take(pmx_reply *, pmx_reply **rest) PMX_MUST_USE;
/* What a blocking context's err would be: 0, REDIS_ERR_*. With REDIS_ERR_IO errno is set, to EAGAIN
 * for a timeout. */
PMX_API int pmx_hiredis_err(const pmx_reply *);
/* NULL: program, library and the hiredis of the process agree; else what does not, and nothing is
 * converted. reply_size: sizeof(redisReply). Static text. */
PMX_API const char *pmx_hiredis_mismatch(size_t reply_size);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* hiredis.h - the frame of the workers asks the server through hiredis. In the program that
 * measures libvalkey it must not, see Makefile.am: there this comes before hiredis' own header, and
 * the frame is compiled once more. libvalkey has the same functions under names of its own. */
#ifndef BENCH_LIBVALKEY_HIREDIS_H
#define BENCH_LIBVALKEY_HIREDIS_H
#include <valkey/valkey.h>

#define redisContext valkeyContext
#define redisReply valkeyReply

#define redisAppendCommandArgv valkeyAppendCommandArgv
#define redisCommand valkeyCommand
#define redisConnect valkeyConnect
#define redisConnectUnix valkeyConnectUnix
#define redisFormatCommandArgv valkeyFormatCommandArgv
#define redisFree valkeyFree
#define redisFreeCommand valkeyFreeCommand
#define redisGetReply valkeyGetReply
#define redisReaderFeed valkeyReaderFeed
#define redisReaderGetReply valkeyReaderGetReply

#define REDIS_OK VALKEY_OK
#define REDIS_REPLY_ARRAY VALKEY_REPLY_ARRAY
#define REDIS_REPLY_ERROR VALKEY_REPLY_ERROR
#define REDIS_REPLY_INTEGER VALKEY_REPLY_INTEGER
#define REDIS_REPLY_NIL VALKEY_REPLY_NIL
#define REDIS_REPLY_STATUS VALKEY_REPLY_STATUS
#define REDIS_REPLY_STRING VALKEY_REPLY_STRING

#endif

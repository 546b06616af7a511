/* SPDX-License-Identifier: BSD-3-Clause */
/* asan.h - SIM_ASAN: this is AddressSanitizer, and wants to be told of each change of stacks. */
#ifndef PMX_SIM_ASAN_H
#define PMX_SIM_ASAN_H
#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif
#ifdef SIM_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#endif

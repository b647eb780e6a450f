// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <objc/objc.h>
#include <stddef.h>
#include <stdint.h>

// The runtime's own are casts in the style of C.
#undef nil
#undef Nil
#undef YES
#undef NO
#define nil nullptr
#define Nil nullptr
#define YES __objc_yes
#define NO __objc_no

typedef long NSInteger;
typedef unsigned long NSUInteger;
typedef double NSTimeInterval;
typedef double CFTimeInterval;

#define NSIntegerMax INTPTR_MAX
#define NSUIntegerMax UINTPTR_MAX

#define NS_ENUM(type, name) \
  enum name : type name;    \
  enum name : type
#define NS_OPTIONS(type, name) \
  type name;                   \
  enum : name

#define NS_RETURNS_RETAINED __attribute__((ns_returns_retained))
#define FOUNDATION_EXPORT extern "C"
#define NS_ASSUME_NONNULL_BEGIN _Pragma("clang assume_nonnull begin")
#define NS_ASSUME_NONNULL_END _Pragma("clang assume_nonnull end")

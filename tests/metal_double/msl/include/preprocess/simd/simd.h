// SPDX-License-Identifier: Apache-2.0
// Declares nothing: the translation includes the real header before the text.

/** Routers, experts and the mixture layer. */
@NullMarked
package io.moextend.moe;

import org.jspecify.annotations.NullMarked;

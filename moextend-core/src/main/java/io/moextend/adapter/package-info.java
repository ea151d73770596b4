/** Small trained parts beside frozen linear layers: (IA)³, LoRA and their mixtures MoV, MoLoRA. */
@NullMarked
package io.moextend.adapter;

import org.jspecify.annotations.NullMarked;

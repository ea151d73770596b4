package io.moextend.data;

/**
 * What surrounds a user's turn. Each piece is tokenised on its own, so no spaces join them.
 *
 * @see <a href="https://arxiv.org/abs/2408.03511">MoExtend</a>, published finetune_deepspeed.py,
 *     preprocess()
 */
public record ChatTemplate(String beforeUser, String afterUser) {
  /** Mixtral-Instruct's. */
  public static final ChatTemplate INSTRUCT = new ChatTemplate("[INST]", "[/INST]");
}

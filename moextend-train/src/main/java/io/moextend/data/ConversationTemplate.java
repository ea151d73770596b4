package io.moextend.data;

import io.moextend.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How a conversation is written as one text, by the names that MoIIE's scripts know.
 *
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>, published bunny/conversation.py
 */
public enum ConversationTemplate {
  BUNNY("bunny", Style.TWO, Learning.WITHOUT_START, Words.CURIOUS_USER, " ", "<|endoftext|>"),
  PHI3("phi3", Style.TWO, Learning.AS_TOKENIZER, Words.CURIOUS_USER, " ", "<|endoftext|>"),
  MINICPM("minicpm", Style.TWO, Learning.WITH_START, Words.CURIOUS_USER, " ", "</s>"),
  LLAMA("llama", Style.TWO, Learning.WITH_START, Words.CURIOUS_USER, "", "<|end_of_text|>"),
  LLAMA3(
      "llama3",
      Style.LLAMA_3,
      Learning.NONE,
      Words.CURIOUS_USER,
      "<|begin_of_text|>",
      "<|end_of_text|>"),
  PLAIN("plain", Style.PLAIN, Learning.CAPTION, "", "\n", null),
  MISTRAL_INSTRUCT("mistral_instruct", Style.LLAMA_2, Learning.NONE, "", "", "</s>"),
  LLAVA_V1("llava_v1", Style.TWO, Learning.NONE, Words.CURIOUS_HUMAN, " ", "</s>"),
  VICUNA_V1("vicuna_v1", Style.TWO, Learning.NONE, Words.CURIOUS_USER, " ", "</s>"),
  QWEN("qwen", Style.CHATML, Learning.NONE, Words.QWEN, "<|im_end|>", null),
  QWEN2_5("qwen2_5", Style.CHATML, Learning.NONE, Words.QWEN_2_5, "<|im_end|>", null),
  ROSS_QWEN2("ross_qwen2", Style.TWO, Learning.NONE, Words.CURIOUS_HUMAN, " ", "<|im_end|>");

  /** Where the parts of a conversation go. */
  public enum Style {
    /** System text, then {@code USER: question} and {@code ASSISTANT: answer}, two separators. */
    TWO,
    /** The texts alone. */
    PLAIN,
    /** Turns between {@code <|im_start|>} and {@code <|im_end|>}. */
    CHATML,
    /** Turns behind headers; the assistant's is always open at the end. */
    LLAMA_3,
    /** Questions between {@code [INST]} and {@code [/INST]}. */
    LLAMA_2
  }

  /** How the learnt part of a row is found. */
  enum Learning {
    /** By rounds, of a tokenizer that puts nothing before a text. */
    WITHOUT_START,
    /** By rounds, of one that puts its start token there. */
    WITH_START,
    /** One of the two, as the tokenizer does. */
    AS_TOKENIZER,
    /** All behind the image. */
    CAPTION,
    /** The template serves questions alone. */
    NONE
  }

  private static final class Words {
    static final String CURIOUS_USER =
        "A chat between a curious user and an artificial intelligence assistant. The assistant"
            + " gives helpful, detailed, and polite answers to the user's questions.";
    static final String CURIOUS_HUMAN =
        "A chat between a curious human and an artificial intelligence assistant. The assistant"
            + " gives helpful, detailed, and polite answers to the human's questions.";
    static final String QWEN = "<|im_start|>system\nYou are a helpful assistant.";
    static final String QWEN_2_5 =
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.";
  }

  private static final String USER = "USER";
  private static final String ASSISTANT = "ASSISTANT";
  private static final String DEFAULT = "default";
  private static final String END_OF_TURN = "<|eot_id|>";

  private final String key;
  private final Style style;
  private final Learning learning;
  private final String system;
  private final String separator;
  private final @Nullable String end;

  ConversationTemplate(
      String key,
      Style style,
      Learning learning,
      String system,
      String separator,
      @Nullable String end) {
    this.key = key;
    this.style = style;
    this.learning = learning;
    this.system = system;
    this.separator = separator;
    this.end = end;
  }

  /**
   * @param key as the scripts write it; "default" is "bunny"
   * @throws DataException if there is none of that name; lists those there are
   */
  public static ConversationTemplate named(String key) {
    String wanted = key.equals(DEFAULT) ? BUNNY.key : key;
    for (ConversationTemplate template : values()) {
      if (template.key.equals(wanted)) {
        return template;
      }
    }
    throw new DataException(
        "conversation template %s: known are %s".formatted(key, String.join(", ", keys())));
  }

  /** All names there are, as the scripts write them. */
  public static List<String> keys() {
    List<String> known = new ArrayList<>(List.of(DEFAULT));
    known.addAll(Arrays.stream(values()).map(t -> t.key).toList());
    return List.copyOf(known);
  }

  /** As the scripts write it. */
  public String key() {
    return key;
  }

  public Style style() {
    return style;
  }

  Learning learning() {
    return learning;
  }

  /** What begins each answer of style TWO, the separator before it included. */
  String answerSign() {
    return separator + ASSISTANT + ": ";
  }

  /**
   * What closes an answer.
   *
   * @throws DataException where nothing does
   */
  String end() {
    if (end == null) {
      throw new DataException(
          "conversation template %s has no sign behind an answer; ask with it, or take bunny, phi3,"
                  .formatted(key)
              + " minicpm or llama");
    }
    return end;
  }

  /**
   * Id that closes an answer, asked or learnt.
   *
   * @return -1 where nothing but the model's own end does
   * @throws DataException if the tokenizer has no such token
   */
  int answerEnd(Tokenizer tokenizer) {
    String sign =
        switch (style) {
          case TWO, LLAMA_2 -> end();
          case CHATML -> separator;
          case LLAMA_3 -> END_OF_TURN;
          case PLAIN -> "";
        };
    if (sign.isEmpty()) {
      return -1;
    }
    int[] ids = tokenizer.encode(sign);
    if (ids.length != 1) {
      throw new DataException(
          "%s has no token %s, which ends the answers of the conversation template %s; take the"
                  .formatted(tokenizer.file(), sign, key)
              + " template of this model");
    }
    return ids[0];
  }

  /**
   * This template, to be trained with.
   *
   * @throws DataException if there is no rule for what is learnt
   */
  public ConversationTemplate forTraining() {
    if (learning == Learning.NONE) {
      throw new DataException(
          "conversation template %s: nothing says what is learnt of it; train with %s"
              .formatted(
                  key,
                  String.join(
                      ", ",
                      Arrays.stream(values())
                          .filter(t -> t.learning != Learning.NONE)
                          .map(t -> t.key)
                          .toList())));
    }
    return this;
  }

  /**
   * A whole conversation.
   *
   * @param texts the user's and the assistant's in turn, the user's first
   */
  public String conversation(List<String> texts) {
    return written(texts, false);
  }

  /**
   * A conversation up to where the next answer begins.
   *
   * @param texts as for {@link #conversation}; the last is the user's
   */
  public String question(List<String> texts) {
    if (texts.size() % 2 == 0) {
      throw new IllegalArgumentException(
          texts.size() + " texts; a question's last text is the user's");
    }
    return written(texts, true);
  }

  private String written(List<String> texts, boolean open) {
    StringBuilder out = new StringBuilder();
    switch (style) {
      case TWO -> two(texts, open, out);
      case PLAIN -> {
        for (int i = 0; i < texts.size(); i++) {
          out.append(texts.get(i)).append(i % 2 == 0 ? separator : end());
        }
      }
      case CHATML -> chatMl(texts, open, out);
      case LLAMA_3 -> llama3(texts, out);
      case LLAMA_2 -> llama2(texts, out);
    }
    return out.toString();
  }

  private void two(List<String> texts, boolean open, StringBuilder out) {
    out.append(system).append(separator);
    for (int i = 0; i < texts.size(); i++) {
      out.append(i % 2 == 0 ? USER : ASSISTANT).append(':');
      // an empty text reads like a turn that is still to come, as in the original
      if (!texts.get(i).isEmpty()) {
        out.append(' ').append(texts.get(i)).append(i % 2 == 0 ? separator : end());
      }
    }
    if (open) {
      out.append(ASSISTANT).append(':');
    }
  }

  private void chatMl(List<String> texts, boolean open, StringBuilder out) {
    out.append(system).append(separator).append('\n');
    for (int i = 0; i < texts.size(); i++) {
      out.append(i % 2 == 0 ? "<|im_start|>user\n" : "<|im_start|>assistant\n");
      if (!texts.get(i).isEmpty()) {
        out.append(texts.get(i)).append(separator).append('\n');
      }
    }
    if (open) {
      out.append("<|im_start|>assistant\n");
    }
  }

  private void llama3(List<String> texts, StringBuilder out) {
    out.append(separator).append(header("system")).append(system).append(END_OF_TURN);
    for (int i = 0; i < texts.size(); i++) {
      if (!texts.get(i).isEmpty()) {
        out.append(header(i % 2 == 0 ? "user" : "assistant")).append(texts.get(i));
        out.append(END_OF_TURN);
      }
    }
    out.append(header("assistant"));
  }

  private static String header(String role) {
    return "<|start_header_id|>" + role + "<|end_header_id|>";
  }

  private void llama2(List<String> texts, StringBuilder out) {
    for (int i = 0; i < texts.size(); i++) {
      if (i % 2 == 0) {
        out.append(separator).append("[INST] ").append(texts.get(i)).append(" [/INST]");
      } else {
        out.append(' ').append(texts.get(i)).append(' ').append(end());
      }
    }
  }
}

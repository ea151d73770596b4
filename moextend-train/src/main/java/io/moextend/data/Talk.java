package io.moextend.data;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig.SpecialTokens;
import io.moextend.config.DecoderType;
import io.moextend.config.DecoderType.Eyes;
import io.moextend.config.DecoderType.Family;
import io.moextend.config.VisionConfig;
import io.moextend.text.ImagePlaces;
import io.moextend.text.ImageTokens;
import io.moextend.text.SegmentPrefix;
import io.moextend.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/** How a model is spoken to, in training and when it is asked. */
public sealed interface Talk {
  /** Leaves the choice to the model's type. */
  String AUTO = "auto";

  /** {@link Instruct}'s name. */
  String INSTRUCT = "instruct";

  /**
   * MoExtend's way: turns between signs such as [INST], images between ids of their own.
   *
   * @param template what surrounds a user's turn
   */
  record Instruct(ChatTemplate template) implements Talk {
    @Override
    public String key() {
      return INSTRUCT;
    }

    @Override
    @MustBeClosed
    public Tokenizer open(Path path) {
      return Tokenizer.open(path);
    }

    @Override
    public KeptTurns kept() {
      return KeptTurns.ALL;
    }

    @Override
    public Encoder rows(
        Tokenizer tokenizer, @Nullable VisionConfig vision, int maxLength, OverLength overLength) {
      if (vision != null && !vision.marked()) {
        throw new DataException(
            "conversation template instruct: it marks images with ids of their own and this model"
                + " has none; take phi3, llama or another template of MoIIE's");
      }
      // a model without images has no such ids; those behind the tokenizer's last stand in
      int imageStart = vision == null ? tokenizer.vocabularySize() : vision.imageStart();
      int slots = vision == null ? 1 : vision.tokens();
      var images = new ImageTokens(tokenizer, imageStart, slots, ImageTokens.SlotContent.PADS);
      return new Encoder(images, template, maxLength, overLength);
    }

    @Override
    public Encoder prompts(Tokenizer tokenizer, @Nullable VisionConfig vision, int maxLength) {
      return rows(tokenizer, vision, maxLength, OverLength.REJECT);
    }

    /** The model's ends, and the sign that begins another question. */
    @Override
    public IntPredicate answerEnds(Tokenizer tokenizer, SpecialTokens tokens) {
      int turn = tokenizer.added(template.beforeUser());
      return token -> token == tokenizer.eos() || token == turn || tokens.end(token);
    }
  }

  /**
   * MoIIE's way: one text, an image standing for its patches alone.
   *
   * @param template how the text is written
   */
  record Conversation(ConversationTemplate template) implements Talk {
    @Override
    public String key() {
      return template.key();
    }

    @Override
    @MustBeClosed
    public Tokenizer open(Path path) {
      return Tokenizer.open(path, SegmentPrefix.AS_FILE);
    }

    @Override
    public KeptTurns kept() {
      return KeptTurns.ALL_BEHIND_AN_ANSWER;
    }

    @Override
    public ConversationEncoder rows(
        Tokenizer tokenizer, @Nullable VisionConfig vision, int maxLength, OverLength overLength) {
      return new ConversationEncoder(places(tokenizer, vision), template, maxLength, overLength);
    }

    @Override
    public ConversationPrompt prompts(
        Tokenizer tokenizer, @Nullable VisionConfig vision, int maxLength) {
      return new ConversationPrompt(places(tokenizer, vision), template, maxLength);
    }

    private ImagePlaces places(Tokenizer tokenizer, @Nullable VisionConfig vision) {
      if (vision != null && vision.marked()) {
        throw new DataException(
            "conversation template %s: it puts nothing around images and this model marks them with"
                    .formatted(key())
                + " ids of their own; take instruct");
      }
      return new ImagePlaces(tokenizer, vision == null ? 1 : vision.tokens());
    }

    /** The model's ends and the template's; of a caption its line's end. */
    @Override
    public IntPredicate answerEnds(Tokenizer tokenizer, SpecialTokens tokens) {
      int sign = template.answerEnd(tokenizer);
      boolean caption = template.style() == ConversationTemplate.Style.PLAIN;
      return token ->
          token == tokenizer.eos()
              || token == sign
              || tokens.end(token)
              || caption && tokenizer.decode(new int[] {token}).contains("\n");
    }
  }

  /**
   * @param key {@link #AUTO}, {@link #INSTRUCT} or a template's; a Bunny or a MoIIE is spoken to in
   *     the template it was published with, phi3 or llama, any other model by instruct
   * @throws ConfigException where there is none of that name; lists those there are
   */
  static Talk named(String key, DecoderType type) {
    requireKnown("conversation_template", key);
    if (key.equals(INSTRUCT) || key.equals(AUTO) && type.eyes() != Eyes.BUNNY) {
      return new Instruct(ChatTemplate.INSTRUCT);
    }
    if (key.equals(AUTO)) {
      return new Conversation(
          type.family() == Family.PHI3 ? ConversationTemplate.PHI3 : ConversationTemplate.LLAMA);
    }
    return new Conversation(ConversationTemplate.named(key));
  }

  /**
   * @param field what was set, for the message
   * @throws ConfigException where there is none of that name; lists those there are
   */
  static void requireKnown(String field, String key) {
    List<String> known = new ArrayList<>(List.of(AUTO, INSTRUCT));
    known.addAll(ConversationTemplate.keys());
    if (!known.contains(key)) {
      throw new ConfigException(field, key, "known are " + String.join(", ", known));
    }
  }

  /** As it is chosen by. */
  String key();

  /**
   * The tokenizer as this way of speaking needs it.
   *
   * @param path tokenizer.json, or the folder that holds it
   */
  @MustBeClosed
  Tokenizer open(Path path);

  /** Turns of a sample that are read. */
  KeptTurns kept();

  /**
   * What writes samples to learn from.
   *
   * @param tokenizer opened by {@link #open}
   * @param vision null where the model takes no images
   * @param maxLength ids of the longest row
   * @throws DataException where model, tokenizer and template do not fit
   */
  RowEncoder rows(
      Tokenizer tokenizer, @Nullable VisionConfig vision, int maxLength, OverLength overLength);

  /**
   * What writes questions.
   *
   * @param tokenizer opened by {@link #open}
   * @param vision null where the model takes no images
   * @param maxLength ids of the longest text that the model takes
   * @throws DataException where model, tokenizer and template do not fit
   */
  PromptEncoder prompts(Tokenizer tokenizer, @Nullable VisionConfig vision, int maxLength);

  /**
   * True of a token that ends an answer and is no part of it.
   *
   * @throws DataException where the tokenizer lacks the template's
   */
  IntPredicate answerEnds(Tokenizer tokenizer, SpecialTokens tokens);
}

package io.moextend.demo;

import java.util.List;

/**
 * Questions about a {@link PromptedText}, each with more than one way to ask them. Some ways are
 * kept for the examination: a model that learnt the task and not the wording answers them too.
 */
enum PromptedTask {
  TOPIC(
      PromptedText.TOPICS,
      List.of(
          "what is it about ? {text}",
          "{text} what is the topic ?",
          "the topic of {text} is",
          "{text} question : which topic ?",
          "name the topic : {text}"),
      List.of("which topic is it ? {text}", "{text} is the text about what ?")) {
    @Override
    String answer(PromptedText text) {
      return text.topic();
    }
  },
  MOOD(
      PromptedText.MOODS,
      List.of(
          "how does it feel ? {text}",
          "{text} is the mood good or bad ?",
          "the mood of {text} is",
          "{text} question : which mood ?",
          "name the mood : {text}"),
      List.of("which mood is it ? {text}", "{text} how is the mood ?")) {
    @Override
    String answer(PromptedText text) {
      return text.mood();
    }
  },
  WHO(
      PromptedText.PEOPLE,
      List.of(
          "who is in it ? {text}",
          "{text} who was there ?",
          "the name in {text} is",
          "{text} question : which name ?",
          "say the name : {text}"),
      List.of("which name is it ? {text}", "{text} who is the text about ?")) {
    @Override
    String answer(PromptedText text) {
      return text.person();
    }
  };

  private final List<String> choices;
  private final List<String> prompts;
  private final List<String> heldOut;

  PromptedTask(List<String> choices, List<String> prompts, List<String> heldOut) {
    this.choices = choices;
    this.prompts = prompts;
    this.heldOut = heldOut;
  }

  abstract String answer(PromptedText text);

  /** All answers there are. */
  List<String> choices() {
    return choices;
  }

  /** Ways to ask that are learnt from. */
  List<String> prompts() {
    return prompts;
  }

  /** Ways to ask that nothing is learnt from. */
  List<String> heldOutPrompts() {
    return heldOut;
  }

  static String ask(String prompt, PromptedText text) {
    return prompt.replace("{text}", text.words());
  }
}

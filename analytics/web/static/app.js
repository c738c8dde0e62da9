// Makes what works already a little easier. Every page does without it.
"use strict";
(() => {
  // The entry of this page may lie outside of a narrow menu.
  document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  // A form that cannot be taken back asks first: <form data-ask="Really?">.
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.ask;
    if (question && !confirm(question)) event.preventDefault();
  });
})();

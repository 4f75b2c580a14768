// The page on which people sign in: account, password and, as second factor, a code.

const escaped = (text) =>
  String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

export function signInPage({ action, account = '', problem, directory }) {
  const people = directory.people
    .map(({ name, displayName, department }) => `<li><code>${escaped(name)}</code> ${escaped(displayName)}, ${escaped(department)}</li>`)
    .join('');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sign in</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:24rem;margin:10vh auto;padding:0 1rem}
label{display:block;margin:.8rem 0}input{display:block;width:100%;font:inherit;padding:.4rem;box-sizing:border-box}
button{font:inherit;padding:.5rem 1.2rem}[role=alert]{color:#b00020}</style></head>
<body><h1>Sign in</h1>
${problem ? `<p role="alert">${escaped(problem)}</p>` : ''}
<form method="post" action="${escaped(action)}">
<label>Account <input name="account" value="${escaped(account)}" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<label>One-time code <input name="code" inputmode="numeric" autocomplete="one-time-code"></label>
<button>Sign in</button></form>
<p>This is a demonstration. The password is <code>${escaped(directory.password)}</code>, the code is
<code>${escaped(directory.oneTimeCode)}</code>; without a code the token says so. The people are:</p>
<ul>${people}</ul></body></html>`;
}

<?php
// An app that signs people in by the vendor's protocol: `php login.php <url> <get|post> <un> <pass> <step> …`, where a
// step is `send <mobile> <message>`, `verify <mobile> <uuid> <sms_id> <code>` or `balance`. Prints what came back.
[, $url, $method, $un, $pass, $step] = $argv;
$rest = array_slice($argv, 6);

$parameters = ['un' => $un, 'pass' => $pass];
if ($step === 'send') {
    $parameters += ['mobile' => $rest[0], 'country_code' => '60', 'message' => $rest[1], 'type' => '1', 'sendid' => 'Shop'];
} elseif ($step === 'verify') {
    $parameters += ['mobile' => $rest[0], 'country_code' => '60', 'method' => 'verify', 'uuid' => $rest[1]];
    $parameters += ['sms_id' => $rest[2], 'code' => $rest[3], 'interval' => '3'];
} else {
    $parameters['method'] = 'balance';
}

$query = http_build_query($parameters);
$handle = curl_init($method === 'get' ? "$url?$query" : $url);
curl_setopt_array($handle, [CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 30]);
if ($method === 'post') {
    curl_setopt($handle, CURLOPT_POSTFIELDS, $query);
}
$reply = curl_exec($handle);
if ($reply === false) {
    fwrite(STDERR, curl_error($handle));
    exit(1);
}
echo $reply;
